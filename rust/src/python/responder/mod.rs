//! `Responder`: the part of `RequestHandler` that every request goes through.
//!
//! It makes the response and runs the handler's hooks in their order. The hooks themselves, and
//! all that only some requests need, are Python: this class calls them where it stands for them.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

mod responding;
mod running;

use super::headers::PyHeaders;
use super::hooks::{Hooks, replaced};
use super::json;
use super::request::Request;
use super::text::latin1;
use crate::etag::matches;

const JSON: &[u8] = b"application/json; charset=UTF-8";

/// Makes a response, and runs a handler. The base of `typhoon.web.RequestHandler`.
#[pyclass(subclass, module = "typhoon._core")]
pub struct Responder {
    /// The application that the handler belongs to.
    #[pyo3(get, set)]
    application: Option<Py<PyAny>>,
    /// The request, an `HTTPServerRequest`.
    #[pyo3(get, set)]
    request: Option<Py<PyAny>>,
    #[pyo3(get, set, name = "_headers")]
    headers: Option<Py<PyAny>>,
    #[pyo3(get, set, name = "_write_buffer")]
    write_buffer: Py<PyList>,
    #[pyo3(get, set, name = "_status_code")]
    status_code: Py<PyAny>,
    #[pyo3(get, set, name = "_reason")]
    reason: Py<PyAny>,
    transforms: Option<Py<PyAny>>,
    #[pyo3(get, set, name = "_new_cookies")]
    new_cookies: Option<Py<PyAny>>,
    path_args: Option<Py<PyAny>>,
    path_kwargs: Option<Py<PyAny>>,
    #[pyo3(get, set, name = "_headers_written")]
    headers_written: bool,
    #[pyo3(get, set, name = "_finished")]
    finished: bool,
    #[pyo3(get, set, name = "_auto_finish")]
    auto_finish: bool,
}

type Slf<'a, 'py> = &'a Bound<'py, Responder>;

impl Responder {
    fn empty(py: Python<'_>) -> Self {
        Self {
            application: None,
            request: None,
            headers: None,
            write_buffer: PyList::empty(py).unbind(),
            status_code: ok_status(py),
            reason: intern!(py, "OK").clone().into_any().unbind(),
            transforms: None,
            new_cookies: None,
            path_args: None,
            path_kwargs: None,
            headers_written: false,
            finished: false,
            auto_finish: true,
        }
    }

    fn hooks(slf: Slf<'_, '_>) -> PyResult<Hooks> {
        replaced(&slf.get_type())
    }

    fn request_of<'py>(slf: Slf<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        match &slf.borrow().request {
            Some(request) => Ok(request.bind(slf.py()).clone()),
            None => Err(PyRuntimeError::new_err("the handler has no request")),
        }
    }

    fn headers_of<'py>(slf: Slf<'_, 'py>) -> PyResult<Bound<'py, PyHeaders>> {
        match &slf.borrow().headers {
            Some(headers) => Ok(headers.bind(slf.py()).clone().cast_into::<PyHeaders>()?),
            None => Err(PyRuntimeError::new_err(
                "the handler has no headers; call clear()",
            )),
        }
    }

    fn status(slf: Slf<'_, '_>) -> PyResult<u16> {
        slf.borrow().status_code.extract(slf.py())
    }
}

fn ok_status(py: Python<'_>) -> Py<PyAny> {
    // Small integers are shared, so this makes nothing.
    200u16
        .into_pyobject(py)
        .map_or_else(|never| match never {}, |status| status.into_any().unbind())
}

#[pymethods]
impl Responder {
    #[new]
    #[pyo3(signature = (*args, **kwargs), text_signature = "(application, request, **kwargs)")]
    fn new(py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, kwargs);
        Self::empty(py)
    }

    #[pyo3(signature = (application, request, **kwargs))]
    fn __init__(
        slf: &Bound<'_, Self>,
        application: Py<PyAny>,
        request: Py<PyAny>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.application = Some(application);
            this.request = Some(request);
        }
        let hooks = Self::hooks(slf)?;
        Self::set_up(slf, hooks)?;
        if kwargs.is_some() || hooks.any(Hooks::INITIALIZE) {
            slf.call_method(intern!(slf.py(), "initialize"), (), kwargs)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let objects = [
            &self.application,
            &self.request,
            &self.headers,
            &self.transforms,
            &self.new_cookies,
            &self.path_args,
            &self.path_kwargs,
        ];
        objects
            .into_iter()
            .flatten()
            .try_for_each(|object| visit.call(object))?;
        visit.call(&self.write_buffer)
    }

    fn __clear__(&mut self) {
        for object in [
            &mut self.application,
            &mut self.request,
            &mut self.headers,
            &mut self.transforms,
            &mut self.new_cookies,
            &mut self.path_args,
            &mut self.path_kwargs,
        ] {
            *object = None;
        }
    }

    /// Handle the request: at once as far as it goes, the rest in a task.
    ///
    /// `path_args` and `path_kwargs` are the groups of the rule's pattern.
    pub fn _run(
        slf: &Bound<'_, Self>,
        path_args: &Bound<'_, PyAny>,
        path_kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let py = slf.py();
        let hooks = Self::hooks(slf)?;
        let waiting = if hooks.any(Hooks::EXECUTE) {
            let arguments = (path_args, path_kwargs);
            Some(slf.call_method1(intern!(py, "_run_replaced"), arguments)?)
        } else {
            Self::begin(slf, hooks, path_args, path_kwargs)?
        };
        if let Some(waiting) = waiting {
            slf.call_method1(intern!(py, "_wait_for"), (waiting,))?;
        } else if !slf.borrow().finished {
            slf.call_method0(intern!(py, "_watch_client"))?;
        }
        Ok(())
    }

    /// Override to do something before each method. If it finishes, the method is not called.
    fn prepare(_slf: &Bound<'_, Self>) {}

    /// Override to do something after the response has been sent, such as to clean up.
    fn on_finish(_slf: &Bound<'_, Self>) {}

    /// Go as far as possible without waiting. What is returned has still to be awaited.
    fn _begin<'py>(
        slf: &Bound<'py, Self>,
        path_args: &Bound<'_, PyAny>,
        path_kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::begin(slf, Self::hooks(slf)?, path_args, path_kwargs)
    }

    /// Call the method of the handler that the request asks for.
    fn _call_method<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let method = Request::method_of(&Self::request_of(slf)?)?;
        let (name, _) = running::python_name(&method)?;
        Self::call_by_name(slf, &name)
    }

    /// Forget all headers and content of this response so far.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::reset(slf, Self::hooks(slf)?)
    }

    /// Add to the body. A dict is sent as JSON, and sets the Content-Type.
    ///
    /// Lists are refused: older browsers let other sites read a JSON array.
    fn write(slf: &Bound<'_, Self>, chunk: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if slf.borrow().finished {
            return Err(PyRuntimeError::new_err("Cannot write() after finish()"));
        }
        let buffer = slf.borrow().write_buffer.bind(py).clone();
        if let Ok(text) = chunk.cast::<PyString>() {
            buffer.append(PyBytes::new(py, text.to_str()?.as_bytes()))
        } else if chunk.is_exact_instance_of::<PyBytes>() {
            buffer.append(chunk)
        } else if chunk.is_exact_instance_of::<PyDict>() {
            let mut text = Vec::new();
            if !json::write(&mut text, chunk, 0)? {
                return buffer.append(slf.call_method1(intern!(py, "_bytes_of"), (chunk,))?);
            }
            let headers = Self::headers_of(slf)?;
            headers
                .borrow_mut()
                .inner
                .set_checked(b"Content-Type", JSON);
            buffer.append(PyBytes::new(py, &text))
        } else {
            buffer.append(slf.call_method1(intern!(py, "_bytes_of"), (chunk,))?)
        }
    }

    /// End the response, with a last piece of body if there is one.
    ///
    /// Awaiting the result waits until the response has been handed to the system.
    #[pyo3(signature = (chunk=None))]
    fn finish<'py>(
        slf: &Bound<'py, Self>,
        chunk: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.borrow().finished {
            return Err(PyRuntimeError::new_err("finish() called twice"));
        }
        let hooks = Self::hooks(slf)?;
        if let Some(chunk) = chunk {
            if hooks.any(Hooks::WRITE) {
                slf.call_method1(intern!(py, "write"), (chunk,))?;
            } else {
                Self::write(slf, chunk)?;
            }
        }
        let connection = Request::connection_of(&Self::request_of(slf)?)?;
        Self::end(slf, hooks)?;
        connection.call_method0(intern!(py, "drained"))
    }

    /// The entity tag of the response: by default a hash of the body. None for no tag.
    ///
    /// Override for a cheaper or a better one, in its quotes.
    fn compute_etag<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyString>>> {
        Ok(Some(latin1(slf.py(), &Self::own_tag(slf)?)))
    }

    /// Set the header Etag to `compute_etag()`. Called before the response is finished.
    fn set_etag_header(slf: &Bound<'_, Self>) -> PyResult<()> {
        if Self::hooks(slf)?.any(Hooks::ETAG) {
            let etag = slf.call_method0(intern!(slf.py(), "compute_etag"))?;
            if etag.is_none() {
                return Ok(());
            }
            // Applications give bytes, too.
            let value = match etag.cast::<PyBytes>() {
                Ok(bytes) => bytes.as_bytes(),
                Err(_) => etag.cast::<PyString>()?.to_str()?.as_bytes(),
            };
            Self::headers_of(slf)?
                .borrow_mut()
                .inner
                .set(b"Etag", value)?;
        } else {
            let etag = Self::own_tag(slf)?;
            Self::headers_of(slf)?
                .borrow_mut()
                .inner
                .set_checked(b"Etag", &etag);
        }
        Ok(())
    }

    /// Whether the client has this representation already (RFC 9110 §13.1.2): then send 304.
    ///
    /// `set_etag_header` has to come first; `finish` calls both on its own.
    fn check_etag_header(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let request = Self::request_of(slf)?;
        let name = intern!(py, "If-None-Match");
        let wanted = match request.cast::<Request>() {
            Ok(request) => request.borrow()._header(py, name)?,
            Err(_) => {
                let headers = request.getattr(intern!(py, "headers"))?;
                Some(headers.call_method1(intern!(py, "get"), (name,))?)
            }
        };
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_none()) else {
            return Ok(false);
        };
        let headers = Self::headers_of(slf)?;
        let headers = headers.borrow();
        let wanted = wanted.cast::<PyString>()?.to_str()?;
        Ok(headers
            .inner
            .get(b"Etag")
            .is_some_and(|etag| matches(wanted.as_bytes(), etag)))
    }

    /// Write the request to the access log.
    fn _log(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let application = slf
            .borrow()
            .application
            .as_ref()
            .map(|a| a.bind(py).clone());
        match application {
            Some(application) => application
                .call_method1(intern!(py, "log_request"), (slf,))
                .map(drop),
            None => Ok(()),
        }
    }

    /// What the groups of the rule's pattern matched, by position.
    #[getter]
    fn path_args(&mut self, py: Python<'_>) -> Py<PyAny> {
        let value = self
            .path_args
            .get_or_insert_with(|| PyList::empty(py).into_any().unbind());
        value.clone_ref(py)
    }
    #[setter]
    fn set_path_args(&mut self, value: Py<PyAny>) {
        self.path_args = Some(value);
    }

    /// What the named groups of the rule's pattern matched.
    #[getter]
    fn path_kwargs(&mut self, py: Python<'_>) -> Py<PyAny> {
        let value = self
            .path_kwargs
            .get_or_insert_with(|| PyDict::new(py).into_any().unbind());
        value.clone_ref(py)
    }
    #[setter]
    fn set_path_kwargs(&mut self, value: Py<PyAny>) {
        self.path_kwargs = Some(value);
    }

    #[getter]
    fn _transforms(&self, py: Python<'_>) -> Py<PyAny> {
        match &self.transforms {
            Some(transforms) => transforms.clone_ref(py),
            None => PyTuple::empty(py).into_any().unbind(),
        }
    }
    #[setter(_transforms)]
    pub fn set_transforms(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.transforms = if value.is_truthy()? {
            Some(value.clone().unbind())
        } else {
            None
        };
        Ok(())
    }
}

/// An awaitable with nothing to wait for: what a method returns that is done already, but whose
/// callers may await it. A handler's method that returns it costs no task.
#[pyclass(frozen, module = "typhoon._core")]
pub struct Done;

#[pymethods]
impl Done {
    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<()> {
        None
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DONE", Py::new(module.py(), Done)?)?;
    module.add_class::<Responder>()
}
