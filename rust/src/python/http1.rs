//! `HTTP1Codec`: the HTTP/1.1 core for drivers in Python: bytes in, events out, and back.
//!
//! The asyncio server protocol (see `connection`) drives the same decoder and encoder by itself.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::headers::{HTTPInputError, PyHeaders};
use super::request::{method_name, version_name};
use super::text::{latin1, to_latin1};
use super::unread::Unread;
use crate::headers::Headers;
use crate::http1::{BodyLength, Decoder, Encoder, Error, Event, Head, Limits, Role, StartLine};

/// Chunks that are joined before others have a turn: a body of tiny ones is a lot of work.
const CHUNKS_PER_TURN: usize = 256;

/// The head of a message that has come in.
#[pyclass(frozen, module = "typhoon._core")]
pub struct HTTP1Head {
    /// Method, target and version of a request; version, status code and reason of a response.
    #[pyo3(get)]
    start_line: Py<PyAny>,
    #[pyo3(get)]
    headers: Py<PyHeaders>,
    /// A 1xx response, behind which the response proper follows.
    #[pyo3(get)]
    is_informational: bool,
    /// Whether a body follows; it may turn out to be empty.
    #[pyo3(get)]
    has_body: bool,
    /// Whether the sender wants the connection to stay open.
    #[pyo3(get)]
    keep_alive: bool,
    /// Whether the sender waits for `100 Continue` before it sends the body.
    #[pyo3(get)]
    expects_continue: bool,
}

impl HTTP1Head {
    fn new(py: Python<'_>, mut head: Head) -> PyResult<Self> {
        let version = version_name(py, head.version);
        let mut is_informational = false;
        let start_line = match &head.start_line {
            StartLine::Request { method, target, .. } => {
                let method = method_name(py, head.text(method));
                let target = latin1(py, head.text(target));
                (method, target, version).into_pyobject(py)?
            }
            StartLine::Response { status, reason } => {
                is_informational = *status < 200 && *status != 101;
                (version, *status, latin1(py, head.text(reason))).into_pyobject(py)?
            }
        };
        Ok(Self {
            start_line: start_line.into_any().unbind(),
            headers: Py::new(
                py,
                PyHeaders {
                    inner: std::mem::take(&mut head.headers),
                },
            )?,
            is_informational,
            has_body: head.body != BodyLength::Exact(0),
            keep_alive: head.keep_alive,
            expects_continue: head.expects_continue,
        })
    }
}

/// The end of a message that has come in.
#[pyclass(frozen, module = "typhoon._core")]
pub struct HTTP1End {
    /// The fields behind a chunked body, None if there are none.
    #[pyo3(get)]
    trailers: Option<Py<PyHeaders>>,
}

impl HTTP1End {
    fn new(py: Python<'_>, trailers: Option<Box<Headers>>) -> PyResult<Self> {
        let trailers = trailers.map(|inner| Py::new(py, PyHeaders { inner: *inner }));
        Ok(Self {
            trailers: trailers.transpose()?,
        })
    }
}

/// What has come in: the object that was received last as it is, as long as nothing is left over
/// from those before it. So a body that comes in large pieces is not copied.
#[derive(Default)]
struct Input {
    unread: Unread,
    object: Option<Py<PyBytes>>,
    /// How much of the object is done with.
    start: usize,
}

impl Input {
    fn receive(&mut self, data: &Bound<'_, PyBytes>) {
        self.keep(data.py());
        if self.unread.len() == 0 {
            self.object = Some(data.clone().unbind());
        } else {
            self.unread.buffer.extend_from_slice(data.as_bytes());
        }
    }

    /// Copy what is left of the object, to have more put behind it.
    fn keep(&mut self, py: Python<'_>) {
        if let Some(object) = self.object.take() {
            let rest = &object.bind(py).as_bytes()[self.start..];
            self.unread.buffer.extend_from_slice(rest);
            self.start = 0;
        }
    }

    fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        match &self.object {
            Some(object) => &object.bind(py).as_bytes()[self.start..],
            None => &self.unread.buffer[self.unread.start..],
        }
    }

    fn consume(&mut self, py: Python<'_>, count: usize) {
        match &self.object {
            None => self.unread.consume(count),
            Some(object) => {
                self.start += count;
                if self.start == object.bind(py).as_bytes().len() {
                    self.object = None;
                    self.start = 0;
                }
            }
        }
    }
}

/// One HTTP/1.1 connection without its socket.
///
/// Incoming: give `receive` what has come and take events from `next_event` until it is None.
/// Outgoing: the methods `send_…` return the bytes to send.
#[pyclass(module = "typhoon._core")]
pub struct HTTP1Codec {
    role: Role,
    decoder: Decoder,
    encoder: Encoder,
    input: Input,
    /// Content from several chunks, less than has been asked for at a time.
    joined: Vec<u8>,
    /// The end has come, behind content that goes first.
    end: Option<HTTP1End>,
    error: Option<Error>,
}

impl HTTP1Codec {
    fn refuse(&mut self, error: Error) -> PyErr {
        self.error = Some(error);
        HTTPInputError::new_err(error.message())
    }

    /// The joined content, if there is any.
    fn take_joined<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        if self.joined.is_empty() {
            return None;
        }
        let joined = PyBytes::new(py, &self.joined).into_any();
        self.joined.clear();
        Some(joined)
    }
}

#[pymethods]
impl HTTP1Codec {
    #[new]
    #[pyo3(signature = (*, is_client, max_header_size, max_body_size))]
    fn new(is_client: bool, max_header_size: usize, max_body_size: u64) -> Self {
        let role = if is_client {
            Role::Client
        } else {
            Role::Server
        };
        let limits = Limits {
            max_head_size: max_header_size,
            max_body_size,
        };
        Self {
            role,
            decoder: Decoder::new(role, limits),
            encoder: Encoder::new(),
            input: Input::default(),
            joined: Vec::new(),
            end: None,
            error: None,
        }
    }

    /// These bytes have come.
    fn receive(&mut self, data: &Bound<'_, PyBytes>) {
        self.input.receive(data);
    }

    /// What has come: an `HTTP1Head`, up to `size` bytes of content, an `HTTP1End`; None if more
    /// has to come first. b"" is no content yet: go on after others had a turn.
    ///
    /// Raises `HTTPInputError`; `error` says more about it.
    fn next_event<'py>(
        &mut self,
        py: Python<'py>,
        size: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(end) = self.end.take() {
            return Ok(Some(Bound::new(py, end)?.into_any()));
        }
        if let Some(error) = self.error {
            return Err(self.refuse(error));
        }
        let size = size.max(1);
        for _ in 0..CHUNKS_PER_TURN {
            let input = self.input.bytes(py);
            let decoded = self.decoder.decode_up_to(input, size - self.joined.len());
            let (consumed, event) = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    let refusal = self.refuse(error);
                    // What has come before it goes first.
                    return self.take_joined(py).map(Some).ok_or(refusal);
                }
            };
            match event {
                Event::NeedMore => {
                    self.input.consume(py, consumed);
                    self.input.keep(py);
                    return Ok(self.take_joined(py));
                }
                Event::Head(head) => {
                    if self.role == Role::Server {
                        self.encoder.answer(&head);
                    }
                    self.input.consume(py, consumed);
                    let head = Bound::new(py, HTTP1Head::new(py, *head)?)?;
                    return Ok(Some(head.into_any()));
                }
                Event::Data(data) if self.joined.is_empty() && consumed == input.len() => {
                    let whole = self.input.object.as_ref().map(|object| object.bind(py));
                    let content = match whole {
                        Some(object) if object.as_bytes().len() == data.len() => object.clone(),
                        _ => PyBytes::new(py, data),
                    };
                    self.input.consume(py, consumed);
                    return Ok(Some(content.into_any()));
                }
                Event::Data(data) => {
                    self.joined.extend_from_slice(data);
                    self.input.consume(py, consumed);
                    if self.joined.len() == size {
                        return Ok(self.take_joined(py));
                    }
                }
                Event::End(trailers) => {
                    self.input.consume(py, consumed);
                    let end = HTTP1End::new(py, trailers)?;
                    if let Some(joined) = self.take_joined(py) {
                        self.end = Some(end);
                        return Ok(Some(joined));
                    }
                    return Ok(Some(Bound::new(py, end)?.into_any()));
                }
            }
        }
        Ok(Some(PyBytes::new(py, b"").into_any()))
    }

    /// The peer has closed its side: the end of a body that lasts until then; None between messages.
    ///
    /// Raises `HTTPInputError` in the middle of a message.
    fn receive_eof(&mut self, py: Python<'_>) -> PyResult<Option<HTTP1End>> {
        match self.decoder.finish_input(self.input.bytes(py)) {
            Ok(Some(Event::End(trailers))) => Ok(Some(HTTP1End::new(py, trailers)?)),
            Ok(_) => Ok(None),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// The message that has come in is done with: the next one may follow.
    fn next_message(&mut self) {
        self.decoder.next_message();
    }

    /// The bytes that have come and do not belong to a message so far. They are forgotten here.
    fn take_unread<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let unread = PyBytes::new(py, self.input.bytes(py));
        self.input = Input::default();
        unread
    }

    /// Whether there are bytes that have come and have not been looked at, or not to the end.
    #[getter]
    fn has_unread(&self, py: Python<'_>) -> bool {
        !self.input.bytes(py).is_empty()
    }

    /// Allow the body of this message so many bytes, and those after it.
    fn set_max_body_size(&mut self, max_body_size: u64) {
        self.decoder.set_max_body_size(max_body_size);
    }

    /// Status code and message of what was wrong with the input, None if nothing was.
    #[getter]
    fn error(&self) -> Option<(u16, &'static str)> {
        self.error.map(|error| (error.status(), error.message()))
    }

    /// The head of a response, and the first piece of its body if there is one.
    #[pyo3(signature = (status, reason, headers, chunk=None))]
    fn send_response<'py>(
        &mut self,
        py: Python<'py>,
        status: u16,
        reason: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        chunk: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(512 + chunk.map_or(0, <[u8]>::len));
        let mut encoder = self.encoder;
        encoder.response(
            &mut out,
            status,
            &to_latin1(reason)?,
            &headers.borrow().inner,
        )?;
        if let Some(chunk) = chunk {
            encoder.data(&mut out, chunk)?;
        }
        self.encoder = encoder;
        Ok(PyBytes::new(py, &out))
    }

    /// The head of a request, and the first piece of its body if there is one.
    #[pyo3(signature = (method, target, headers, chunk=None))]
    fn send_request<'py>(
        &mut self,
        py: Python<'py>,
        method: &Bound<'_, PyString>,
        target: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        chunk: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(512 + chunk.map_or(0, <[u8]>::len));
        let mut encoder = self.encoder;
        let method = to_latin1(method)?;
        encoder.request(
            &mut out,
            &method,
            &to_latin1(target)?,
            &headers.borrow().inner,
        )?;
        if let Some(chunk) = chunk {
            encoder.data(&mut out, chunk)?;
        }
        self.encoder = encoder;
        self.decoder.set_request_method(&method);
        Ok(PyBytes::new(py, &out))
    }

    /// A piece of the body; itself, if nothing has to be put around it.
    fn send_data<'py>(&mut self, chunk: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
        if !self.encoder.is_chunked() {
            let goes = self.encoder.data_elsewhere(chunk.as_bytes().len() as u64)?;
            return Ok(if goes {
                chunk.clone()
            } else {
                PyBytes::new(chunk.py(), b"")
            });
        }
        let mut out = Vec::with_capacity(chunk.as_bytes().len() + 16);
        self.encoder.data(&mut out, chunk.as_bytes())?;
        Ok(PyBytes::new(chunk.py(), &out))
    }

    /// The end of the body.
    fn send_end<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        self.encoder.end(&mut out)?;
        Ok(PyBytes::new(py, &out))
    }

    /// The next response is to input that never became a request; the connection closes behind it.
    fn answer_malformed(&mut self) {
        self.encoder.answer_malformed();
    }

    /// The connection shall close behind the message that is sent next.
    fn close_after(&mut self) {
        self.encoder.close_after();
    }

    /// Whether what has been sent lets the connection stay open.
    #[getter]
    fn keep_alive(&self) -> bool {
        self.encoder.keep_alive()
    }

    /// Servers: whether a request waits for the head of its response.
    #[getter]
    fn expects_head(&self) -> bool {
        self.encoder.expects_head()
    }

    /// Whether the head of a message has been sent and its end not yet.
    #[getter]
    fn is_sending(&self) -> bool {
        self.encoder.is_open()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HTTP1Head>()?;
    module.add_class::<HTTP1End>()?;
    module.add_class::<HTTP1Codec>()
}
