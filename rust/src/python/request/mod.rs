//! `HTTPServerRequest`: a parsed head and its body, each part decoded when it is first asked for.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

mod properties;

use super::buffers;
use super::text::latin1;
use crate::http1::{Head, StartLine, Target, Version};

/// Seconds since the epoch, as `time.time()` has them.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

static QUERY_PARSER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static BODY_PARSER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static COOKIE_PARSER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Give the functions that decode what is above the core: `query(text)` and `body(request)`
/// for arguments and files, `cookies(headers)`. Called once, by `httputil`.
#[pyfunction]
fn set_request_parsers(
    py: Python<'_>,
    query: Py<PyAny>,
    body: Py<PyAny>,
    cookies: Py<PyAny>,
) -> PyResult<()> {
    let again = |_| PyRuntimeError::new_err("the parsers have been set already");
    QUERY_PARSER.set(py, query).map_err(again)?;
    BODY_PARSER.set(py, body).map_err(again)?;
    COOKIE_PARSER.set(py, cookies).map_err(again)
}

fn call_parser<'py>(
    py: Python<'py>,
    parser: &PyOnceLock<Py<PyAny>>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match parser.get(py) {
        Some(parser) => parser.bind(py).call1((argument,)),
        None => Err(PyRuntimeError::new_err("import typhoon.httputil first")),
    }
}

/// A body: received and not yet asked for, or a bytes object.
pub enum Body {
    Received(Vec<u8>),
    Object(Py<PyAny>),
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Self::Received(body) = self {
            buffers::put(std::mem::take(body));
        }
    }
}

/// An attribute that is decoded when it is first read. Setting it to None, too, is setting it.
#[derive(Default)]
struct Lazy(Option<Py<PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Lazy {
    type Error = Infallible;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(Some(value.to_owned().unbind())))
    }
}

impl Deref for Lazy {
    type Target = Option<Py<PyAny>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Lazy {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// A single HTTP request. Attributes are decoded when they are first read, and can be set.
#[pyclass(
    name = "HTTPServerRequest",
    module = "typhoon.httputil",
    subclass,
    dict,
    weakref
)]
pub struct Request {
    head: Option<Box<Head>>,
    #[pyo3(set)]
    method: Lazy,
    #[pyo3(set)]
    uri: Lazy,
    #[pyo3(set)]
    path: Lazy,
    #[pyo3(set)]
    query: Lazy,
    #[pyo3(set)]
    version: Lazy,
    #[pyo3(set)]
    headers: Lazy,
    #[pyo3(set)]
    host: Lazy,
    #[pyo3(set)]
    host_name: Lazy,
    #[pyo3(set)]
    remote_ip: Lazy,
    #[pyo3(set)]
    protocol: Lazy,
    #[pyo3(set)]
    query_arguments: Lazy,
    #[pyo3(set)]
    body_arguments: Lazy,
    #[pyo3(set)]
    arguments: Lazy,
    #[pyo3(set)]
    files: Lazy,
    #[pyo3(set)]
    cookies: Lazy,
    /// The connection that the request came on, an `HTTPConnection`.
    #[pyo3(get, set)]
    connection: Option<Py<PyAny>>,
    /// What the application's router was given for this connection.
    #[pyo3(get, set)]
    server_connection: Option<Py<PyAny>>,
    #[pyo3(get, set, name = "_start_time")]
    start_time: f64,
    body: Body,
}

/// The method's name as the one object that the whole process shares for it.
pub fn method_name<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyString> {
    match name {
        b"GET" => intern!(py, "GET").clone(),
        b"POST" => intern!(py, "POST").clone(),
        b"HEAD" => intern!(py, "HEAD").clone(),
        b"PUT" => intern!(py, "PUT").clone(),
        b"DELETE" => intern!(py, "DELETE").clone(),
        b"PATCH" => intern!(py, "PATCH").clone(),
        b"OPTIONS" => intern!(py, "OPTIONS").clone(),
        _ => latin1(py, name),
    }
}

pub fn version_name(py: Python<'_>, version: Version) -> Bound<'_, PyString> {
    match version {
        Version::Http10 => intern!(py, "HTTP/1.0").clone(),
        Version::Http11 => intern!(py, "HTTP/1.1").clone(),
    }
}

impl Request {
    /// A request whose body is still to come.
    pub fn received(py: Python<'_>, head: Box<Head>, connection: Py<PyAny>) -> Self {
        let mut request = Self::empty(Some(connection), Body::Received(Vec::new()));
        if let StartLine::Request { method, .. } = &head.start_line {
            *request.method = Some(method_name(py, head.text(method)).into_any().unbind());
        }
        request.head = Some(head);
        request
    }

    fn empty(connection: Option<Py<PyAny>>, body: Body) -> Self {
        Self {
            head: None,
            method: Lazy(None),
            uri: Lazy(None),
            path: Lazy(None),
            query: Lazy(None),
            version: Lazy(None),
            headers: Lazy(None),
            host: Lazy(None),
            host_name: Lazy(None),
            remote_ip: Lazy(None),
            protocol: Lazy(None),
            query_arguments: Lazy(None),
            body_arguments: Lazy(None),
            arguments: Lazy(None),
            files: Lazy(None),
            cookies: Lazy(None),
            connection,
            server_connection: None,
            start_time: now(),
            body,
        }
    }

    /// The request line's target and its form, before the headers have been handed out.
    fn target(&self) -> Option<(&[u8], &Target)> {
        let head = self.head.as_ref()?;
        match &head.start_line {
            StartLine::Request { target, form, .. } => Some((head.text(target), form)),
            StartLine::Response { .. } => None,
        }
    }

    /// Path and query of the target: what RFC 9112 §3.2 makes of its form.
    fn path_and_query(&self) -> Option<(&[u8], &[u8])> {
        let (target, form) = self.target()?;
        let local = match form {
            Target::Absolute { path, .. } => &target[*path..],
            _ => target,
        };
        let (path, query) = match memchr::memchr(b'?', local) {
            Some(mark) => (&local[..mark], &local[mark + 1..]),
            None => (local, &b""[..]),
        };
        Some((if path.is_empty() { b"/" } else { path }, query))
    }

    /// Strings that lie in the head, made before its text is handed to the headers object.
    fn decode_target(&mut self, py: Python<'_>) {
        let Some((target, form)) = self.target() else {
            return;
        };
        let uri = latin1(py, target).into_any().unbind();
        let host = match form {
            Target::Absolute { authority, .. } => {
                Some(latin1(py, &target[authority.clone()]).into_any().unbind())
            }
            _ => None,
        };
        let Some((path, query)) = self.path_and_query() else {
            return;
        };
        let path = if query.is_empty() && path == target {
            uri.clone_ref(py)
        } else {
            latin1(py, path).into_any().unbind()
        };
        let query = latin1(py, query).into_any().unbind();
        self.uri.get_or_insert(uri);
        self.path.get_or_insert(path);
        self.query.get_or_insert(query);
        if let Some(host) = host {
            self.host.get_or_insert(host);
        }
    }

    pub fn receive_body(&mut self, body: Vec<u8>) {
        self.body = Body::Received(body);
    }

    /// The method of a request of whatever class.
    pub fn method_of<'py>(request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        let py = request.py();
        let own = request.cast_exact::<Self>().ok();
        match own.and_then(|request| request.borrow().method(py)) {
            Some(method) => Ok(method.into_bound(py).cast_into()?),
            None => Ok(request.getattr(intern!(py, "method"))?.cast_into()?),
        }
    }

    /// The path of a request of whatever class.
    pub fn path_of<'py>(request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        let py = request.py();
        let own = request.cast_exact::<Self>().ok();
        match own.and_then(|request| request.borrow_mut().path(py)) {
            Some(path) => Ok(path.into_bound(py).cast_into()?),
            None => Ok(request.getattr(intern!(py, "path"))?.cast_into()?),
        }
    }

    /// The connection of a request of whatever class.
    pub fn connection_of<'py>(request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = request.py();
        let own = request.cast_exact::<Self>().ok();
        match own.and_then(|request| Some(request.borrow().connection.as_ref()?.clone_ref(py))) {
            Some(connection) => Ok(connection.into_bound(py)),
            None => request.getattr(intern!(py, "connection")),
        }
    }

    pub fn body_bytes<'a>(&'a self, py: Python<'a>) -> PyResult<&'a [u8]> {
        match &self.body {
            Body::Received(body) => Ok(body),
            Body::Object(body) => Ok(body.bind(py).cast::<PyBytes>()?.as_bytes()),
        }
    }

    fn context_attribute(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyString>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let connection = match &slf.borrow().connection {
            Some(connection) => connection.bind(py).clone(),
            None => return Ok(None),
        };
        let context = match connection.getattr_opt(intern!(py, "context_of"))? {
            Some(context_of) => Some(context_of.call1((slf,))?),
            None => connection.getattr_opt(intern!(py, "context"))?,
        };
        match context {
            Some(context) => Ok(context.getattr_opt(name)?.map(Bound::unbind)),
            None => Ok(None),
        }
    }

    /// Decode the form body into arguments and files, once.
    fn parse_body(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        {
            let this = slf.borrow();
            if this.body_arguments.is_some() && this.files.is_some() {
                return Ok(());
            }
        }
        let parsed = call_parser(py, &BODY_PARSER, slf.as_any())?;
        let (arguments, files): (Py<PyAny>, Py<PyAny>) = parsed.extract()?;
        let mut this = slf.borrow_mut();
        this.body_arguments.get_or_insert(arguments);
        this.files.get_or_insert(files);
        Ok(())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_request_parsers, module)?)?;
    module.add_class::<Request>()
}
