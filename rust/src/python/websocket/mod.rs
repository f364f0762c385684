//! `WebSocketConnection`: the asyncio protocol that drives the WebSocket core for one connection.
//!
//! | input is | because | until |
//! | --- | --- | --- |
//! | worked through at once | | |
//! | kept in `unread` | the handler waits for something (`held`) | `_set_held(False)` |
//! | kept in `unread` | enough has been done in this turn of the loop (`yielding`) | `_pump` |
//! | not read from the socket | more than `UNREAD_LIMIT` is kept | that is worked through |
//! | thrown away | the connection has failed, or the peer's Close has come | |
//!
//! | output is | because | until |
//! | --- | --- | --- |
//! | sent at once | | |
//! | joined in `cork` | more input is there behind the event that is being handled | it is handled |
//! | kept in `cork` | the transport has enough (`choked`) | it has sent that |
//! | skipped, or the connection closed | more than `max_write_buffer` is kept | all is sent |
//!
//! Python code is never called while `self` is borrowed: it may call back into the connection.

use std::thread::{self, ThreadId};

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PySystemExit, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

mod broadcasting;
mod message;
mod receiving;
mod sending;

use message::Message;
use receiving::UNREAD_LIMIT;
use sending::Admission;

use super::output::Output;
use super::transport;
use super::unread::Unread;
use crate::websocket::{
    CloseReason, Connection, Deflater, Inflater, MAX_CONTROL_PAYLOAD, Opcode, Role, is_sendable,
};

create_exception!(
    typhoon.websocket,
    WebSocketError,
    PyException,
    "Something is wrong with a WebSocket connection."
);

create_exception!(
    typhoon.websocket,
    WebSocketClosedError,
    WebSocketError,
    "Something was to be sent on a WebSocket connection that is closed or about to be closed."
);

/// One WebSocket connection: an asyncio protocol. Subclassed in `typhoon.websocket`, which adds
/// what needs the event loop.
///
/// `handler` gets `on_message(str or bytes)`, `on_ping(bytes)` and `on_pong(bytes)`. `done` is a
/// future that is done, returned where nothing has to be waited for.
#[pyclass(subclass, weakref, module = "typhoon._core")]
pub struct WebSocketConnection {
    core: Connection,
    role: Role,
    max_message_size: usize,
    /// Bytes that may wait behind what the transport has, and what becomes of messages over it.
    max_write_buffer: usize,
    skips: bool,
    /// The thread of the event loop.
    thread: ThreadId,
    handler: Option<Py<PyAny>>,
    done: Option<Py<PyAny>>,
    transport: Option<Py<PyAny>>,
    output: Option<Output>,
    unread: Unread,
    /// Frames, whole ones, that are sent once the input that is there has been worked through, or
    /// the transport takes more.
    cork: Vec<u8>,
    /// The answer to the last ping, while the peer does not read.
    pong: Option<Vec<u8>>,
    close: Option<CloseReason>,
    held: bool,
    yielding: bool,
    pumping: bool,
    /// More input is there behind the event that is being handled.
    more: bool,
    choked: bool,
    /// Messages that have been left out since the transport took all.
    skipped: usize,
    /// We close since the peer reads too slowly.
    dropped: bool,
    reading_paused: bool,
    /// Something has come since `_was_active` was asked last.
    active: bool,
    /// The connection is lost, but not all that had come before has been worked through.
    lost: bool,
}

type Slf<'a, 'py> = &'a Bound<'py, WebSocketConnection>;

#[pymethods]
impl WebSocketConnection {
    #[new]
    #[pyo3(signature = (
        handler, *, is_client, max_message_size, done, max_write_buffer=None, skips=false
    ))]
    fn new(
        handler: Py<PyAny>,
        is_client: bool,
        max_message_size: usize,
        done: Py<PyAny>,
        max_write_buffer: Option<usize>,
        skips: bool,
    ) -> Self {
        let role = if is_client {
            Role::Client
        } else {
            Role::Server
        };
        Self {
            core: Connection::new(role, max_message_size, None),
            role,
            max_message_size,
            max_write_buffer: max_write_buffer.unwrap_or(usize::MAX),
            skips,
            thread: thread::current().id(),
            handler: Some(handler),
            done: Some(done),
            transport: None,
            output: None,
            unread: Unread::default(),
            cork: Vec::new(),
            pong: None,
            close: None,
            held: false,
            yielding: false,
            pumping: false,
            more: false,
            choked: false,
            skipped: 0,
            dropped: false,
            reading_paused: false,
            active: false,
            lost: false,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.handler)?;
        visit.call(&self.done)?;
        visit.call(&self.transport)?;
        match &self.output {
            Some(output) => output.traverse(&visit),
            None => Ok(()),
        }
    }

    fn __clear__(&mut self) {
        self.handler = None;
        self.done = None;
        self.transport = None;
        self.output = None;
    }

    /// Compress messages (RFC 7692), as the opening handshake has agreed. Before any come.
    #[pyo3(signature = (*, level, inflate_bits, inflate_context, deflate_bits, deflate_context))]
    fn _compress(
        &mut self,
        level: u32,
        inflate_bits: u8,
        inflate_context: bool,
        deflate_bits: u8,
        deflate_context: bool,
    ) {
        let pair = (
            Inflater::new(inflate_bits, inflate_context),
            Deflater::new(level, deflate_bits, deflate_context),
        );
        self.core = Connection::new(self.role, self.max_message_size, Some(pair));
    }

    /// asyncio: the connection is there.
    fn connection_made(&mut self, transport: Bound<'_, PyAny>) -> PyResult<()> {
        self.output = Some(Output::new(&transport)?);
        self.transport = Some(transport.unbind());
        Ok(())
    }

    /// asyncio: bytes have come.
    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.active = true;
            if this.is_blocked() || this.pumping {
                this.unread.buffer.extend_from_slice(data.as_bytes());
                if this.unread.len() <= UNREAD_LIMIT {
                    return Ok(());
                }
                drop(this);
                return Self::pause_reading(slf);
            }
        }
        Self::feed(slf, data.as_bytes())
    }

    /// asyncio: the peer has closed its side. There is nothing left to tell it.
    fn eof_received(&self) -> bool {
        false
    }

    /// asyncio: the connection is gone. What has come before is worked through, unless it was cut.
    #[pyo3(signature = (exc=None))]
    fn connection_lost(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let closed = slf.borrow_mut().transport.take();
        let waits = {
            let mut this = slf.borrow_mut();
            this.output = None;
            this.cork = Vec::new();
            let clean = exc.is_none_or(|exc| exc.is_none());
            let unread = clean && this.unread.len() > 0 && this.core.is_reading();
            this.lost = unread && this.is_blocked();
            this.lost
        };
        if let Some(closed) = closed {
            transport::free(closed.bind(slf.py()))?;
        }
        slf.call_method0(intern!(slf.py(), "_lost"))?;
        if waits { Ok(()) } else { Self::end(slf) }
    }

    /// asyncio: the transport's buffer is over its high-water mark.
    fn pause_writing(&mut self) {
        self.choked = true;
    }

    /// asyncio: the transport's buffer is below its low-water mark again.
    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (kept, pong) = {
            let mut this = slf.borrow_mut();
            this.choked = false;
            // The peer has read something.
            this.active = true;
            (std::mem::take(&mut this.cork), this.pong.take())
        };
        // Both are whole frames, and the ping has waited long enough.
        if let Some(pong) = pong {
            Self::send_control(slf, Opcode::Pong, &pong)?;
        }
        Self::transmit(slf, &kept, None)?;
        if slf.borrow().choked {
            return Ok(());
        }
        slf.call_method0(intern!(slf.py(), "_resumed"))?;
        let skipped = std::mem::take(&mut slf.borrow_mut().skipped);
        if skipped == 0 || slf.borrow().is_closing() {
            return Ok(());
        }
        let skipped = skipped.into_pyobject(slf.py())?.into_any();
        Self::deliver(slf, intern!(slf.py(), "on_skipped"), skipped)
    }

    /// Go on with input that has waited.
    fn _pump(slf: &Bound<'_, Self>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.yielding = false;
            if this.held || this.pumping {
                return Ok(());
            }
        }
        Self::feed(slf, b"")?;
        if slf.borrow().is_blocked() && slf.borrow().unread.len() > UNREAD_LIMIT {
            return Ok(());
        }
        Self::resume_reading(slf)
    }

    /// The handler (does not) wait for something; until then, no more input is worked through.
    fn _set_held(slf: &Bound<'_, Self>, held: bool) -> PyResult<()> {
        let yielding = {
            let mut this = slf.borrow_mut();
            this.held = held;
            this.yielding
        };
        // If others have their turn, the pump comes by itself.
        if held || yielding {
            Ok(())
        } else {
            Self::_pump(slf)
        }
    }

    /// Send a message: a str or a dict (as JSON) as a text, or bytes. Bytes are sent as a text,
    /// too, which they have to be, unless `binary` is true.
    ///
    /// Returns a future that is done once the transport takes more (RFC 6455 §5.6).
    ///
    /// Raises `WebSocketClosedError` if either side has begun to close.
    #[pyo3(signature = (message, binary=false))]
    fn write_message(
        slf: &Bound<'_, Self>,
        message: &Bound<'_, PyAny>,
        binary: bool,
    ) -> PyResult<Py<PyAny>> {
        let (message, opcode) = if message.is_instance_of::<PyDict>() {
            let text = slf.call_method1(intern!(slf.py(), "_json"), (message,))?;
            Message::of(&text, binary)?
        } else {
            Message::of(message, binary)?
        };
        match Self::admit(slf, true)? {
            Admission::Granted => Self::send_payload(slf, message.payload()?, opcode)?,
            Admission::Skipped => {}
            Admission::Closed => return Err(Self::closed_error()),
        }
        Self::written(slf)
    }

    /// Send a ping (9) or a pong (10).
    fn _send_control(slf: &Bound<'_, Self>, opcode: u8, data: &[u8]) -> PyResult<Py<PyAny>> {
        if data.len() > MAX_CONTROL_PAYLOAD {
            return Err(PyValueError::new_err(format!(
                "the payload of a ping has {} bytes, and may have {MAX_CONTROL_PAYLOAD}",
                data.len()
            )));
        }
        let opcode = if opcode == 9 {
            Opcode::Ping
        } else {
            Opcode::Pong
        };
        match Self::admit(slf, false)? {
            Admission::Granted => Self::send_control(slf, opcode, data).map(drop)?,
            Admission::Skipped => {}
            Admission::Closed => return Err(Self::closed_error()),
        }
        Self::written(slf)
    }

    /// Send Close, unless it has been sent; whether it has been now. The reason is cut off where
    /// it gets too long.
    ///
    /// Raises `ValueError` for a code that may not be sent (RFC 6455 §7.4).
    fn _send_close(slf: &Bound<'_, Self>, code: Option<u16>, reason: &str) -> PyResult<bool> {
        if let Some(code) = code.filter(|code| !is_sendable(*code)) {
            return Err(PyValueError::new_err(format!(
                "{code} is no code for closing: use 1000, 1001, 1011 or 3000 to 4999"
            )));
        }
        Self::send_close(slf, code, reason)
    }

    /// Hand what is kept to the transport, which is about to be closed behind it.
    fn _flush(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::flush(slf)
    }

    /// Look at no more input, and send Close unless it has been sent.
    fn _fail(slf: &Bound<'_, Self>, code: u16, reason: &str) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.core.fail();
            this.unread = Unread::default();
        }
        Self::send_close(slf, Some(code), reason).map(drop)
    }

    /// Throw away what has come and what comes. A connection that is lost already ends here.
    fn _deafen(slf: &Bound<'_, Self>) -> PyResult<()> {
        let lost = {
            let mut this = slf.borrow_mut();
            this.core.fail();
            this.unread = Unread::default();
            this.lost
        };
        if lost { Self::end(slf) } else { Ok(()) }
    }

    /// Whether the peer has been heard of since this was asked last, or could not be.
    fn _was_active(&mut self) -> bool {
        std::mem::take(&mut self.active) || self.reading_paused
    }

    /// Forget the handler, to which nothing more is to be said.
    fn _forget(&mut self) {
        self.handler = None;
    }

    /// What gets the messages; None once it has been told of the end.
    #[getter]
    fn handler(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.handler.as_ref().map(|handler| handler.clone_ref(py))
    }

    /// The code of the peer's Close, None if it gave none or none has come.
    #[getter]
    fn close_code(&self) -> Option<u16> {
        self.close.as_ref().and_then(|close| close.code)
    }

    /// The reason of the peer's Close, None if it gave none or none has come.
    #[getter]
    fn close_reason(&self) -> Option<&str> {
        let close = self.close.as_ref()?;
        (!close.reason.is_empty()).then_some(close.reason.as_str())
    }

    /// Whether the peer will send nothing more.
    #[getter]
    fn client_terminated(&self) -> bool {
        self.transport.is_none() || !self.core.is_reading()
    }

    /// Whether we will send nothing more.
    #[getter]
    fn server_terminated(&self) -> bool {
        self.transport.is_none() || self.core.has_sent_close()
    }

    /// Whether either side has begun to close the connection, or it is gone.
    fn is_closing(&self) -> bool {
        self.transport.is_none() || !self.core.is_open()
    }

    /// The asyncio transport, None once the connection is gone.
    #[getter]
    fn transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.transport
            .as_ref()
            .map(|transport| transport.clone_ref(py))
    }

    /// Whether we close since the peer reads too slowly.
    #[getter]
    fn _is_dropped(&self) -> bool {
        self.dropped
    }

    /// Whether the transport takes no more for now.
    #[getter]
    fn _is_choked(&self) -> bool {
        self.choked
    }
}

/// Whether an exception is for whoever runs the event loop.
fn is_for_the_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("WebSocketError", py.get_type::<WebSocketError>())?;
    module.add(
        "WebSocketClosedError",
        py.get_type::<WebSocketClosedError>(),
    )?;
    module.add_function(wrap_pyfunction!(broadcasting::websocket_broadcast, module)?)?;
    module.add_class::<WebSocketConnection>()
}
