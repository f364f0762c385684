//! The face to Python: an asyncio protocol, and what is done with a connection.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

use super::reading::ReadBuffer;
use super::sending::Outgoing;
use super::{ClientConnection, Received, Slf, UNREAD_LIMIT};
use crate::http1::{Decoder, Encoder, Limits, Role};
use crate::python::headers::PyHeaders;
use crate::python::output::{Output, has_input, socket_of};
use crate::python::transport;
use crate::python::unread::Unread;

#[pymethods]
impl ClientConnection {
    #[new]
    #[pyo3(signature = (*, max_header_size, max_body_size))]
    fn new(max_header_size: usize, max_body_size: u64) -> Self {
        let limits = Limits {
            max_head_size: max_header_size,
            max_body_size,
        };
        Self {
            transport: None,
            output: None,
            socket: None,
            decoder: Decoder::new(Role::Client, limits),
            encoder: Encoder::new(),
            unread: Unread::default(),
            exchange: None,
            received: Received::Nothing,
            informational: 0,
            exchanges: 0,
            persistent: true,
            keep_alive_timeout: None,
            on_idle_close: None,
            held: false,
            choked: false,
            pumping: false,
            reading_paused: false,
            ended: false,
            cause: None,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)?;
        visit.call(&self.on_idle_close)?;
        visit.call(&self.cause)?;
        if let Some(exchange) = &self.exchange {
            visit.call(&exchange.waiter)?;
            visit.call(&exchange.delegate)?;
        }
        match &self.output {
            Some(output) => output.traverse(&visit),
            None => Ok(()),
        }
    }

    fn __clear__(&mut self) {
        self.transport = None;
        self.output = None;
        self.on_idle_close = None;
        self.cause = None;
        self.exchange = None;
    }

    /// asyncio: the connection is there.
    fn connection_made(&mut self, transport: Bound<'_, PyAny>) -> PyResult<()> {
        self.output = Some(Output::new(&transport)?);
        self.socket = socket_of(&transport)?;
        self.transport = Some(transport.unbind());
        Ok(())
    }

    /// asyncio: where to read to.
    #[staticmethod]
    fn get_buffer(py: Python<'_>, _hint: &Bound<'_, PyAny>) -> PyResult<Py<PyMemoryView>> {
        ReadBuffer::view(py)
    }

    /// asyncio: so many bytes have come.
    fn buffer_updated(slf: Slf<'_, '_>, count: usize) -> PyResult<()> {
        let Some(buffer) = ReadBuffer::take() else {
            return Ok(());
        };
        let result = Self::receive(slf, buffer.bytes(slf.py(), count));
        buffer.give_back();
        result
    }

    /// asyncio: the server has closed its side.
    fn eof_received(slf: Slf<'_, '_>) -> PyResult<bool> {
        let waits = {
            let mut this = slf.borrow_mut();
            this.ended = true;
            this.persistent = false;
            this.held || this.pumping
        };
        if !waits {
            Self::end_input(slf)?;
            Self::tell_idle_close(slf)?;
        }
        Ok(false)
    }

    /// asyncio: the connection is gone.
    #[pyo3(signature = (exc=None))]
    fn connection_lost(slf: Slf<'_, '_>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let (transport, waits, choked) = {
            let mut this = slf.borrow_mut();
            if !this.ended {
                this.cause = exc;
            }
            this.ended = true;
            this.persistent = false;
            this.output = None;
            this.socket = None;
            let choked = std::mem::take(&mut this.choked);
            (this.transport.take(), this.held || this.pumping, choked)
        };
        if let Some(transport) = transport {
            transport::free(transport.bind(py))?;
        }
        if choked {
            slf.call_method0(intern!(py, "_resumed"))?;
        }
        if waits {
            return Ok(());
        }
        Self::end_input(slf)?;
        Self::tell_idle_close(slf)
    }

    /// asyncio: the transport's buffer is over its high-water mark.
    fn pause_writing(&mut self) {
        self.choked = true;
    }

    /// asyncio: the transport's buffer is below its low-water mark again.
    fn resume_writing(slf: Slf<'_, '_>) -> PyResult<()> {
        slf.borrow_mut().choked = false;
        slf.call_method0(intern!(slf.py(), "_resumed")).map(drop)
    }

    /// The piece that a delegate got has (not) been taken in; until then no more input is looked at.
    fn _set_held(slf: Slf<'_, '_>, held: bool) -> PyResult<()> {
        slf.borrow_mut().held = held;
        if held || slf.borrow().pumping {
            return Ok(());
        }
        Self::feed(slf, b"")?;
        let full = slf.borrow().held && slf.borrow().unread.len() > UNREAD_LIMIT;
        if full {
            Ok(())
        } else {
            Self::resume_reading(slf)
        }
    }

    /// Send a request, and take in the response to it.
    ///
    /// `waiter` is a future, or has its methods `done`, `set_result` and `set_exception`. Its
    /// result is (version, status code, reason, headers, body, the time of the head on the clock of
    /// `time.monotonic`). `delegate` is told of all heads, 1xx among them, by
    /// `headers_received((version, status code, reason), headers)`; with `streams` it also gets the
    /// content by `data_received(chunk)`, of which it may return an awaitable, and the body of the
    /// result is empty. With `has_more` the body, or the rest of it, follows by `send_data` and
    /// `send_end`.
    ///
    /// Raises `ValueError` or `HTTPOutputError` if the request cannot be sent; nothing of it has
    /// been then.
    #[pyo3(signature = (method, target, headers, body, waiter, delegate=None, streams=false, has_more=false))]
    #[allow(clippy::too_many_arguments)]
    fn send_request(
        slf: Slf<'_, '_>,
        method: &Bound<'_, PyString>,
        target: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        body: Option<&Bound<'_, PyBytes>>,
        waiter: Py<PyAny>,
        delegate: Option<Py<PyAny>>,
        streams: bool,
        has_more: bool,
    ) -> PyResult<()> {
        if !slf.borrow().may_be_used() {
            return Err(PyRuntimeError::new_err(
                "the connection cannot take a request: look at is_reusable first",
            ));
        }
        let outgoing = Outgoing {
            method,
            target,
            headers,
            body,
            has_more,
        };
        Self::begin(slf, &outgoing, waiter, delegate, streams)
    }

    /// Send more of the body of a request.
    fn send_data(slf: Slf<'_, '_>, chunk: &Bound<'_, PyBytes>) -> PyResult<()> {
        Self::send_content(slf, chunk)
    }

    /// Send the end of the body of a request.
    fn send_end(slf: Slf<'_, '_>) -> PyResult<()> {
        Self::send_content_end(slf)
    }

    /// End the exchange, if one runs, with this error, and the connection.
    fn _fail(slf: Slf<'_, '_>, error: Bound<'_, PyAny>) -> PyResult<()> {
        Self::end_badly(slf, error)
    }

    /// Close the connection, once what has been written is sent. An exchange ends without a
    /// response, and its waiter is told that the connection was closed.
    fn close(slf: Slf<'_, '_>) -> PyResult<()> {
        slf.borrow_mut().on_idle_close = None;
        Self::end_transport(slf, intern!(slf.py(), "close"))
    }

    /// Close the connection at once. Nobody is told: a waiter stays as it is.
    fn abort(slf: Slf<'_, '_>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.on_idle_close = None;
            this.exchange = None;
            this.unread = Unread::default();
        }
        Self::abort_transport(slf)
    }

    /// Whether another request may be sent: the connection is open, the last exchange is complete,
    /// neither side has asked to close, and nothing has come that nobody asked for.
    #[getter]
    fn is_reusable(&self) -> bool {
        self.may_be_used()
    }

    /// Ask the system whether something has come, or the end, that the event loop has not seen:
    /// then a request should not be sent, since nothing of that can be the answer to it.
    fn has_input(&self) -> bool {
        self.socket.is_some_and(has_input)
    }

    /// How far the last response has come: 0 nothing of it, 1 a part of its head, 2 the head.
    #[getter]
    fn received(&self) -> u8 {
        self.received as u8
    }

    /// How many responses have come whole.
    #[getter]
    fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// Seconds for which the server keeps an idle connection, as it has said; None if it has not.
    #[getter]
    fn keep_alive_timeout(&self) -> Option<u64> {
        self.keep_alive_timeout
    }

    /// Called once when the connection is closed, or spoiled, while no exchange runs.
    #[getter]
    fn get_on_idle_close(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.on_idle_close
            .as_ref()
            .map(|callback| callback.clone_ref(py))
    }

    #[setter]
    fn set_on_idle_close(&mut self, callback: Option<Py<PyAny>>) {
        self.on_idle_close = callback;
    }

    /// The asyncio transport, None once the connection is gone.
    #[getter]
    fn transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.transport
            .as_ref()
            .map(|transport| transport.clone_ref(py))
    }

    /// Whether the transport takes no more for now.
    #[getter]
    fn _is_choked(&self) -> bool {
        self.choked
    }
}
