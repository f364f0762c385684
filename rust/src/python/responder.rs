//! `Responder`: the part of `RequestHandler` that every request goes through.
//!
//! It makes the response and runs the handler's hooks in their order. The hooks themselves, and
//! all that only some requests need, are Python: this class calls them where it stands for them.

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::connection::ServerConnection;
use super::digest::tag_of;
use super::errors::exception;
use super::headers::{DefaultHeaders, PyHeaders};
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

/// The name of the Python method for an HTTP method.
fn python_name<'py>(method: &Bound<'py, PyString>) -> PyResult<(Bound<'py, PyString>, bool)> {
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

    fn set_up(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        if hooks.any(Hooks::CLEAR) {
            slf.call_method0(intern!(slf.py(), "clear")).map(drop)
        } else {
            Self::reset(slf, hooks)
        }
    }

    fn reset(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let py = slf.py();
        let headers = DefaultHeaders::of_responses(py)?;
        {
            let mut this = slf.borrow_mut();
            this.headers = Some(headers.into_any());
            this.write_buffer = PyList::empty(py).unbind();
            this.status_code = ok_status(py);
            this.reason = intern!(py, "OK").clone().into_any().unbind();
        }
        if hooks.any(Hooks::SET_DEFAULT_HEADERS) {
            slf.call_method0(intern!(py, "set_default_headers"))?;
        }
        Ok(())
    }

    fn own_tag(slf: Slf<'_, '_>) -> PyResult<[u8; 34]> {
        tag_of(slf.borrow().write_buffer.bind(slf.py()))
    }

    /// Whether the request method is GET or HEAD.
    fn is_retrieval(request: &Bound<'_, PyAny>) -> PyResult<bool> {
        let method = Request::method_of(request)?;
        Ok(matches!(method.to_str()?, "GET" | "HEAD"))
    }

    /// Give a response to GET or HEAD its tag, and make it a 304 if the client has it already.
    fn validate(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let py = slf.py();
        let not_modified = if hooks.any(Hooks::ETAG) {
            slf.call_method0(intern!(py, "set_etag_header"))?;
            slf.call_method0(intern!(py, "check_etag_header"))?
                .is_truthy()?
        } else {
            Self::set_etag_header(slf)?;
            Self::check_etag_header(slf)?
        };
        if not_modified {
            slf.borrow_mut().write_buffer = PyList::empty(py).unbind();
            slf.call_method1(intern!(py, "set_status"), (304,))?;
        }
        Ok(())
    }

    /// Send what is there as a whole response.
    fn respond(slf: Slf<'_, '_>, hooks: Hooks, connection: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let mut status = Self::status(slf)?;
        if status == 200 && Self::is_retrieval(&Self::request_of(slf)?)? {
            Self::validate(slf, hooks)?;
            status = Self::status(slf)?;
        }
        if matches!(status, 204 | 304 | 100..=199) {
            if !slf.borrow().write_buffer.bind(py).is_empty() {
                return Err(PyRuntimeError::new_err(format!(
                    "Cannot send body with {status}"
                )));
            }
            slf.call_method0(intern!(py, "_clear_representation_headers"))?;
        }
        if slf.borrow().transforms.is_some() {
            slf.call_method0(intern!(py, "_transform_whole"))?;
            status = Self::status(slf)?;
        }
        if slf.borrow().new_cookies.is_some() {
            slf.call_method0(intern!(py, "_add_cookies"))?;
        }
        let headers = Self::headers_of(slf)?;
        let (reason, chunks) = {
            let this = slf.borrow();
            (
                this.reason.bind(py).clone(),
                this.write_buffer.bind(py).clone(),
            )
        };
        match connection.cast::<ServerConnection>() {
            Ok(connection) => {
                ServerConnection::respond(connection, status, reason.cast()?, &headers, &chunks)?;
            }
            Err(_) => {
                let arguments = (status, reason, headers, chunks);
                connection.call_method1(intern!(py, "respond"), arguments)?;
            }
        }
        // Not before: what cannot be sent as it is becomes an error page.
        slf.borrow_mut().headers_written = true;
        Ok(())
    }

    /// End the response; `finish` without what its callers may leave out.
    fn end(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let py = slf.py();
        let connection = Request::connection_of(&Self::request_of(slf)?)?;
        if slf.borrow().headers_written {
            slf.call_method1(intern!(py, "flush"), (true,))?;
            connection.call_method0(intern!(py, "finish"))?;
        } else {
            Self::respond(slf, hooks, &connection)?;
        }
        slf.borrow_mut().finished = true;
        if hooks.any(Hooks::LOG) {
            slf.call_method0(intern!(py, "_log"))?;
        } else {
            Self::_log(slf)?;
        }
        slf.call_method0(intern!(py, "on_finish")).map(drop)
    }

    fn end_automatically(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let wanted = if hooks.any(Hooks::AUTO_FINISH) {
            slf.getattr(intern!(slf.py(), "_auto_finish"))?
                .is_truthy()?
        } else {
            slf.borrow().auto_finish
        };
        if !wanted || slf.borrow().finished {
            Ok(())
        } else if hooks.any(Hooks::FINISH) {
            slf.call_method0(intern!(slf.py(), "finish")).map(drop)
        } else {
            Self::end(slf, hooks)
        }
    }

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
    fn begin<'py>(
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

    fn call_by_name<'py>(
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
        let (name, _) = python_name(&method)?;
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
            let etag: Option<String> = slf
                .call_method0(intern!(slf.py(), "compute_etag"))?
                .extract()?;
            if let Some(etag) = etag {
                Self::headers_of(slf)?
                    .borrow_mut()
                    .inner
                    .set(b"Etag", etag.as_bytes())?;
            }
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
