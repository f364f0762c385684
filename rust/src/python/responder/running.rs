//! How a handler's hooks are run, in their order, up to the first that waits.

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::super::errors::exception;
use super::super::hooks::Hooks;
use super::super::request::Request;
use super::{Done, Responder, Slf};

/// The name of the Python method for an HTTP method.
pub(super) fn python_name<'py>(
    method: &Bound<'py, PyString>,
) -> PyResult<(Bound<'py, PyString>, bool)> {
    let py = method.py();
    Ok(match method.to_str()? {
        "GET" => (intern!(py, "get").clone(), true),
        "POST" => (intern!(py, "post").clone(), true),
        "HEAD" => (intern!(py, "head").clone(), true),
        "PUT" => (intern!(py, "put").clone(), true),
        "DELETE" => (intern!(py, "delete").clone(), true),
        "PATCH" => (intern!(py, "patch").clone(), true),
        "OPTIONS" => (intern!(py, "options").clone(), true),
        other => (PyString::new(py, &other.to_lowercase()), false),
    })
}

impl Responder {
    /// A group of the pattern, decoded.
    fn decode_group(
        slf: Slf<'_, '_>,
        hooks: Hooks,
        group: &Bound<'_, PyAny>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if group.is_none() {
            return Ok(py.None());
        }
        if !hooks.any(Hooks::DECODE_ARGUMENT)
            && let Ok(text) = simdutf8::basic::from_utf8(group.cast::<PyBytes>()?.as_bytes())
        {
            return Ok(PyString::new(py, text).into_any().unbind());
        }
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "name"), name)?;
        slf.call_method(intern!(py, "decode_argument"), (group,), Some(&keywords))
            .map(Bound::unbind)
    }

    fn decode_groups(
        slf: Slf<'_, '_>,
        hooks: Hooks,
        args: &Bound<'_, PyAny>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let py = slf.py();
        let decoded = PyList::empty(py);
        for group in args.try_iter()? {
            decoded.append(Self::decode_group(slf, hooks, &group?, None)?)?;
        }
        let decoded_kwargs = PyDict::new(py);
        for (name, group) in kwargs {
            decoded_kwargs.set_item(&name, Self::decode_group(slf, hooks, &group, Some(&name))?)?;
        }
        let mut this = slf.borrow_mut();
        this.path_args = Some(decoded.into_any().unbind());
        this.path_kwargs = Some(decoded_kwargs.into_any().unbind());
        Ok(())
    }

    /// Whether the application has requests checked that change something: who made them?
    fn is_protected(slf: Slf<'_, '_>) -> PyResult<bool> {
        let py = slf.py();
        let application = slf.borrow().application.as_ref().map(|a| a.clone_ref(py));
        let Some(application) = application else {
            return Ok(false);
        };
        let settings = application.bind(py).getattr(intern!(py, "settings"))?;
        let settings = settings.cast::<PyDict>()?;
        for name in [
            intern!(py, "xsrf_cookies"),
            intern!(py, "cross_origin_protection"),
        ] {
            if let Some(wanted) = settings.get_item(name)?
                && wanted.is_truthy()?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Run the hooks up to the first that waits; what it returned is to be awaited by `_continue`
    /// (after `prepare`) or `_conclude` (after the method).
    fn advance<'py>(
        slf: Slf<'_, 'py>,
        hooks: Hooks,
        args: &Bound<'_, PyAny>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let method = Request::method_of(&Self::request_of(slf)?)?;
        let (name, known) = python_name(&method)?;
        let supported = if known && !hooks.any(Hooks::SUPPORTED_METHODS) {
            true
        } else {
            slf.getattr(intern!(py, "SUPPORTED_METHODS"))?
                .contains(&method)?
        };
        if !supported {
            return slf
                .call_method0(intern!(py, "_unimplemented_method"))
                .map(|_| None);
        }
        if !args.is_empty()? || !kwargs.is_empty() {
            Self::decode_groups(slf, hooks, args, kwargs)?;
        }
        if !matches!(method.to_str()?, "GET" | "HEAD" | "OPTIONS") && Self::is_protected(slf)? {
            slf.call_method0(intern!(py, "_check_source"))?;
        }
        let prepared = slf.call_method0(intern!(py, "prepare"))?;
        if !prepared.is_none() {
            return slf
                .call_method1(intern!(py, "_continue"), (prepared,))
                .map(Some);
        }
        if slf.borrow().finished {
            return Ok(None);
        }
        if hooks.any(Hooks::STREAM_REQUEST_BODY) {
            return slf
                .call_method1(intern!(py, "_continue"), (py.None(),))
                .map(Some);
        }
        let result = Self::call_by_name(slf, &name)?;
        if !result.is_none() && !result.is_exact_instance_of::<Done>() {
            return slf
                .call_method1(intern!(py, "_conclude"), (result,))
                .map(Some);
        }
        Self::end_automatically(slf, hooks)?;
        Ok(None)
    }

    /// `advance`, with what an exception means.
    pub(super) fn begin<'py>(
        slf: Slf<'_, 'py>,
        hooks: Hooks,
        args: &Bound<'_, PyAny>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        match Self::advance(slf, hooks, args, kwargs) {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let error = exception(py, &error)?;
                slf.call_method1(intern!(py, "_handle_request_exception"), (error,))?;
                Ok(None)
            }
            result => result,
        }
    }

    pub(super) fn call_by_name<'py>(
        slf: Slf<'_, 'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (args, kwargs) = {
            let this = slf.borrow();
            let args = this.path_args.as_ref().map(|args| args.bind(py).clone());
            let kwargs = this
                .path_kwargs
                .as_ref()
                .map(|kwargs| kwargs.bind(py).clone());
            (args, kwargs)
        };
        match (args, kwargs) {
            (None, None) => slf.call_method0(name),
            (args, kwargs) => {
                let args = match args {
                    Some(args) => args.try_iter()?.collect::<PyResult<Vec<_>>>()?,
                    None => Vec::new(),
                };
                let kwargs = kwargs.map(Bound::cast_into::<PyDict>).transpose()?;
                let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
                slf.call_method(name, PyTuple::new(py, args)?, kwargs.as_ref())
            }
        }
    }
}
