//! What Python sees of a request: each attribute is decoded when it is first read.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::super::headers::PyHeaders;
use super::super::text::latin1;
use super::{Body, COOKIE_PARSER, QUERY_PARSER, Request, call_parser, now, version_name};
use crate::http1::StartLine;

/// The attribute if it is there already; `compute` makes and keeps it otherwise.
fn cached(
    slf: &Bound<'_, Request>,
    field: fn(&mut Request) -> &mut Option<Py<PyAny>>,
    compute: impl FnOnce(&Bound<'_, Request>) -> PyResult<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    if let Some(value) = field(&mut slf.borrow_mut()) {
        return Ok(value.clone_ref(slf.py()));
    }
    let value = compute(slf)?;
    Ok(field(&mut slf.borrow_mut())
        .get_or_insert(value)
        .clone_ref(slf.py()))
}

#[pymethods]
impl Request {
    /// The arguments are `__init__`'s: a subclass may take others.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(method=None, uri=None, version='HTTP/1.0', headers=None, body=None, host=None, files=None, connection=None, start_line=None, server_connection=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::empty(None, Body::Received(Vec::new()))
    }

    #[pyo3(signature = (method=None, uri=None, version="HTTP/1.0", headers=None, body=None, host=None, files=None, connection=None, start_line=None, server_connection=None))]
    #[allow(clippy::too_many_arguments)]
    fn __init__(
        &mut self,
        py: Python<'_>,
        method: Option<Py<PyAny>>,
        uri: Option<Bound<'_, PyString>>,
        version: &str,
        headers: Option<Py<PyAny>>,
        body: Option<Py<PyAny>>,
        host: Option<Py<PyAny>>,
        files: Option<Py<PyAny>>,
        connection: Option<Py<PyAny>>,
        start_line: Option<Bound<'_, PyAny>>,
        server_connection: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let mut uri = uri.map(Bound::into_any);
        let mut method = method;
        let mut version = PyString::new(py, version).into_any();
        if let Some(line) = start_line {
            method = Some(line.get_item(0)?.unbind());
            uri = Some(line.get_item(1)?);
            version = line.get_item(2)?;
        }
        let body = body.unwrap_or_else(|| PyBytes::new(py, b"").into_any().unbind());
        let mut request = Self::empty(connection, Body::Object(body));
        if let Some(uri) = &uri {
            let text = uri.cast::<PyString>()?.to_str()?;
            let (path, query) = text.split_once('?').unwrap_or((text, ""));
            *request.path = Some(PyString::new(py, path).into_any().unbind());
            *request.query = Some(PyString::new(py, query).into_any().unbind());
        }
        *request.method = method;
        *request.uri = uri.map(Bound::unbind);
        *request.version = Some(version.unbind());
        *request.headers = Some(headers.map_or_else(
            || Ok::<_, PyErr>(Py::new(py, PyHeaders::default())?.into_any()),
            Ok,
        )?);
        *request.host = host;
        *request.files = files;
        request.server_connection = server_connection;
        *self = request;
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let objects = [
            &self.headers,
            &self.query_arguments,
            &self.body_arguments,
            &self.arguments,
            &self.files,
            &self.cookies,
            &self.connection,
            &self.server_connection,
        ];
        objects
            .into_iter()
            .flatten()
            .try_for_each(|object| visit.call(object))
    }

    fn __clear__(&mut self) {
        for object in [
            &mut self.headers,
            &mut self.query_arguments,
            &mut self.body_arguments,
            &mut self.arguments,
            &mut self.files,
            &mut self.cookies,
            &mut self.connection,
            &mut self.server_connection,
        ] {
            *object = None;
        }
    }

    /// The request method, such as "GET".
    #[getter]
    pub fn method(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.method.as_ref().map(|method| method.clone_ref(py))
    }

    /// The request target as it was sent.
    #[getter]
    fn uri(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        if self.uri.is_none() {
            self.decode_target(py);
        }
        self.uri.as_ref().map(|value| value.clone_ref(py))
    }

    /// The path of the target, without its query.
    #[getter]
    pub fn path(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        if self.path.is_none() {
            let path = self
                .path_and_query()
                .map(|(path, _)| latin1(py, path).into_any().unbind());
            *self.path = path;
        }
        self.path.as_ref().map(|value| value.clone_ref(py))
    }

    /// The query of the target, without the question mark.
    #[getter]
    fn query(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        if self.query.is_none() {
            let query = self
                .path_and_query()
                .map(|(_, query)| latin1(py, query).into_any().unbind());
            *self.query = query;
        }
        self.query.as_ref().map(|value| value.clone_ref(py))
    }

    /// The protocol version, such as "HTTP/1.1".
    #[getter]
    fn version(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match (&*self.version, &self.head) {
            (Some(version), _) => Some(version.clone_ref(py)),
            (None, Some(head)) => Some(version_name(py, head.version).into_any().unbind()),
            (None, None) => None,
        }
    }

    /// The header fields, an `HTTPHeaders`.
    #[getter]
    fn headers(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.headers.is_none() {
            self.decode_target(py);
            if let Some(head) = &mut self.head {
                let inner = std::mem::take(&mut head.headers);
                // The target's spans point into the text that has just gone.
                head.start_line = StartLine::Response {
                    status: 0,
                    reason: 0..0,
                };
                *self.headers = Some(Py::new(py, PyHeaders { inner })?.into_any());
            }
        }
        Ok(self.headers.as_ref().map(|value| value.clone_ref(py)))
    }

    /// The body, bytes.
    #[getter]
    fn body(&mut self, py: Python<'_>) -> Py<PyAny> {
        if let Body::Received(body) = &self.body {
            self.body = Body::Object(PyBytes::new(py, body).into_any().unbind());
        }
        match &self.body {
            Body::Object(body) => body.clone_ref(py),
            Body::Received(_) => py.None(),
        }
    }
    #[setter]
    fn set_body(&mut self, value: Py<PyAny>) {
        self.body = Body::Object(value);
        *self.body_arguments = None;
        *self.arguments = None;
    }

    /// Whether there is any body.
    #[getter]
    fn _has_body(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(!self.body_bytes(py)?.is_empty())
    }

    /// Decode the form body now, which is otherwise done when its arguments are first asked for.
    fn _parse_body(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::parse_body(slf)
    }

    /// The host that the client asked for, with its port if it named one.
    #[getter]
    fn host(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.host,
            |slf| {
                let py = slf.py();
                let headers = slf.borrow_mut().headers(py)?;
                if let Some(host) = &*slf.borrow().host {
                    return Ok(host.clone_ref(py));
                }
                let host = match headers {
                    Some(headers) => headers
                        .bind(py)
                        .call_method1(intern!(py, "get"), (intern!(py, "Host"),))?,
                    None => py.None().into_bound(py),
                };
                Ok(if host.is_truthy()? {
                    host.unbind()
                } else {
                    intern!(py, "127.0.0.1").clone().into_any().unbind()
                })
            },
        )
    }

    /// The host in lower case, without its port.
    #[getter]
    fn host_name(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.host_name,
            |slf| {
                let host = Self::host(slf)?;
                let host = host
                    .bind(slf.py())
                    .cast::<PyString>()?
                    .to_str()?
                    .to_ascii_lowercase();
                let name = match host.rsplit_once(':') {
                    Some((name, port))
                        if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) =>
                    {
                        name
                    }
                    _ => &host,
                };
                Ok(PyString::new(slf.py(), name).into_any().unbind())
            },
        )
    }

    /// The client's address, an IP in text; from X-Real-Ip or X-Forwarded-For with `xheaders`.
    #[getter]
    fn remote_ip(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.remote_ip,
            |slf| {
                let name = intern!(slf.py(), "remote_ip");
                Ok(Self::context_attribute(slf, name)?.unwrap_or_else(|| slf.py().None()))
            },
        )
    }

    /// "http" or "https", from X-Scheme or X-Forwarded-Proto with `xheaders`.
    #[getter]
    fn protocol(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.protocol,
            |slf| {
                let name = intern!(slf.py(), "protocol");
                Ok(Self::context_attribute(slf, name)?
                    .unwrap_or_else(|| intern!(slf.py(), "http").clone().into_any().unbind()))
            },
        )
    }

    /// The arguments in the query: names to lists of bytes.
    #[getter]
    fn query_arguments(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.query_arguments,
            |slf| {
                let query = slf.borrow_mut().query(slf.py());
                let query = query.map_or_else(
                    || intern!(slf.py(), "").clone().into_any(),
                    |q| q.into_bound(slf.py()),
                );
                Ok(call_parser(slf.py(), &QUERY_PARSER, &query)?.unbind())
            },
        )
    }

    /// The arguments in a form body: names to lists of bytes.
    ///
    /// Raises `HTTPInputError` if the body is not the form that its Content-Type says.
    #[getter]
    fn body_arguments(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if slf.borrow().body_arguments.is_none() {
            Self::parse_body(slf)?;
        }
        cached(
            slf,
            |this| &mut this.body_arguments,
            |slf| Ok(slf.py().None()),
        )
    }

    /// The uploaded files: names to lists of `HTTPFile`.
    ///
    /// Raises `HTTPInputError` if the body is not the form that its Content-Type says.
    #[getter]
    fn files(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if slf.borrow().files.is_none() {
            Self::parse_body(slf)?;
        }
        cached(slf, |this| &mut this.files, |slf| Ok(slf.py().None()))
    }

    /// The arguments of query and body together: names to lists of bytes.
    #[getter]
    fn arguments(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.arguments,
            |slf| {
                let py = slf.py();
                let all = PyDict::new(py);
                for part in [Self::query_arguments(slf)?, Self::body_arguments(slf)?] {
                    for (name, values) in part.bind(py).cast::<PyDict>()? {
                        match all.get_item(&name)? {
                            Some(known) => {
                                known
                                    .cast::<PyList>()?
                                    .call_method1(intern!(py, "extend"), (values,))?;
                            }
                            None => all.set_item(
                                &name,
                                values.cast::<PyList>()?.get_slice(0, usize::MAX),
                            )?,
                        }
                    }
                }
                Ok(all.into_any().unbind())
            },
        )
    }

    /// The cookies, an `http.cookies.SimpleCookie`. What cannot be parsed is left out.
    #[getter]
    fn cookies(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        cached(
            slf,
            |this| &mut this.cookies,
            |slf| {
                let headers = slf
                    .borrow_mut()
                    .headers(slf.py())?
                    .into_pyobject(slf.py())?;
                Ok(call_parser(slf.py(), &COOKIE_PARSER, &headers)?.unbind())
            },
        )
    }

    /// A header's value or None, without making an object of all the headers for it.
    pub fn _header<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (&*self.headers, &self.head) {
            (Some(headers), _) => headers
                .bind(py)
                .call_method1(intern!(py, "get"), (name,))
                .map(Some),
            (None, Some(head)) => {
                let value = head.headers.get(name.to_str()?.as_bytes());
                Ok(value.map(|value| latin1(py, value).into_any()))
            }
            (None, None) => Ok(None),
        }
    }

    /// The whole URL of the request.
    fn full_url(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let uri = slf.borrow_mut().uri(py);
        let uri: String = uri.map_or_else(|| Ok(String::new()), |uri| uri.extract(py))?;
        if !uri.starts_with('/') && uri.contains("://") {
            return Ok(uri);
        }
        let protocol: String = Self::protocol(slf)?.extract(py)?;
        let host: String = Self::host(slf)?.extract(py)?;
        Ok(format!("{protocol}://{host}{uri}"))
    }

    /// Seconds since the request came.
    fn request_time(&self) -> f64 {
        now() - self.start_time
    }

    /// The client's TLS certificate, as `ssl.SSLSocket.getpeercert` gives it; None without one.
    #[pyo3(signature = (binary_form=false))]
    fn get_ssl_certificate(&self, py: Python<'_>, binary_form: bool) -> PyResult<Py<PyAny>> {
        let get = match &self.connection {
            Some(connection) => connection
                .bind(py)
                .getattr_opt(intern!(py, "get_ssl_certificate"))?,
            None => None,
        };
        match get {
            Some(get) => Ok(get.call1((binary_form,))?.unbind()),
            None => Ok(py.None()),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut fields = Vec::new();
        for name in ["protocol", "host", "method", "uri", "version", "remote_ip"] {
            fields.push(format!("{name}={}", slf.getattr(name)?.repr()?));
        }
        Ok(format!("{}({})", slf.get_type().name()?, fields.join(", ")))
    }
}
