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
//! Python code is never called while `self` is borrowed: it may call back into the connection.

use std::cell::RefCell;

use pyo3::buffer::PyBuffer;
use pyo3::create_exception;
use pyo3::exceptions::{
    PyException, PyKeyboardInterrupt, PyOSError, PySystemExit, PyTypeError, PyValueError,
};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::errors::exception;
use super::output::Output;
use super::unread::Unread;
use crate::websocket::{
    CloseReason, Connection, Deflater, Error, Event, Inflater, Key, MAX_CONTROL_PAYLOAD, Opcode,
    Payload, Role, is_sendable,
};

/// Unread bytes above which reading pauses while the handler works.
const UNREAD_LIMIT: usize = 64 * 1024;

/// Events after which others have their turn, though more input is there.
const EVENTS_PER_TURN: usize = 64;

/// Frames that are sent while more input is there are joined up to so many bytes.
const CORK_LIMIT: usize = 64 * 1024;

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
    handler: Option<Py<PyAny>>,
    done: Option<Py<PyAny>>,
    transport: Option<Py<PyAny>>,
    output: Option<Output>,
    unread: Unread,
    /// Frames that are sent once the input that is there has been worked through.
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
    reading_paused: bool,
    /// Something has come since `_was_active` was asked last.
    active: bool,
    /// The connection is lost, but not all that had come before has been worked through.
    lost: bool,
}

type Slf<'a, 'py> = &'a Bound<'py, WebSocketConnection>;

impl WebSocketConnection {
    fn is_blocked(&self) -> bool {
        self.held || self.yielding
    }

    /// A masking key, if we need one.
    fn key(&self) -> PyResult<Option<Key>> {
        match self.role {
            Role::Client => next_key().map(Some),
            Role::Server => Ok(None),
        }
    }

    fn closed_error() -> PyErr {
        WebSocketClosedError::new_err("the WebSocket is closed")
    }

    /// Work through `input` as far as it goes; how much of it is done with.
    fn pump(slf: Slf<'_, '_>, input: &[u8]) -> PyResult<usize> {
        let py = slf.py();
        let mut position = 0;
        for _ in 0..EVENTS_PER_TURN {
            let decoded = {
                let mut this = slf.borrow_mut();
                if this.held {
                    return Ok(position);
                }
                let decoded = this.core.handle_input(&input[position..]);
                if let Ok((consumed, _)) = &decoded {
                    position += consumed;
                    this.more = position < input.len();
                }
                decoded
            };
            match decoded {
                Ok((_, Event::NeedMore)) => return Ok(position),
                Ok((_, Event::Text(text))) => {
                    let text = match &text {
                        Payload::Wire(text, _) => PyString::from_bytes(py, text)?,
                        Payload::Owned(text) => PyString::from_bytes(py, text)?,
                    };
                    Self::deliver(slf, intern!(py, "on_message"), text.into_any())?;
                }
                Ok((_, Event::Binary(data))) => {
                    let data = PyBytes::new_with(py, data.len(), |out| {
                        data.copy_to(out);
                        Ok(())
                    })?;
                    Self::deliver(slf, intern!(py, "on_message"), data.into_any())?;
                }
                Ok((_, Event::Ping(data))) => {
                    Self::answer_ping(slf, &data)?;
                    let data = PyBytes::new(py, &data);
                    Self::deliver(slf, intern!(py, "on_ping"), data.into_any())?;
                }
                Ok((_, Event::Pong(data))) => {
                    let data = PyBytes::new(py, &data);
                    Self::deliver(slf, intern!(py, "on_pong"), data.into_any())?;
                }
                Ok((_, Event::Close(close))) => {
                    let code = close.code;
                    slf.borrow_mut().close = Some(close);
                    // RFC 6455 §5.5.1: "it typically echos the status code it received".
                    Self::send_close(slf, code, "")?;
                    slf.call_method0(intern!(py, "_close_received"))?;
                }
                Err(error) => {
                    Self::fail(slf, error)?;
                    return Ok(input.len());
                }
            }
        }
        if position < input.len() {
            slf.borrow_mut().yielding = true;
            slf.call_method0(intern!(py, "_pump_soon"))?;
        }
        Ok(position)
    }

    /// Work through new data and what was left over before it.
    fn feed(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let mut unread = {
            let mut this = slf.borrow_mut();
            this.pumping = true;
            std::mem::take(&mut this.unread)
        };
        let pumped = if unread.len() == 0 {
            Self::pump(slf, data).inspect(|&consumed| {
                if consumed < data.len() {
                    unread.buffer = data[consumed..].to_vec();
                }
            })
        } else {
            unread.buffer.extend_from_slice(data);
            Self::pump(slf, &unread.buffer[unread.start..])
                .inspect(|&consumed| unread.consume(consumed))
        };
        let (lost, full) = {
            let mut this = slf.borrow_mut();
            this.unread = unread;
            this.pumping = false;
            this.more = false;
            let full = this.unread.len() > UNREAD_LIMIT;
            (this.lost && !this.is_blocked(), full && this.is_blocked())
        };
        let flushed = Self::uncork(slf);
        pumped?;
        flushed?;
        if lost {
            return Self::end(slf);
        }
        if full {
            Self::pause_reading(slf)
        } else {
            Ok(())
        }
    }

    /// Let the handler have something; a result that it waits for holds everything up behind it.
    fn deliver(
        slf: Slf<'_, '_>,
        name: &Bound<'_, PyString>,
        value: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let Some(handler) = slf
            .borrow()
            .handler
            .as_ref()
            .map(|handler| handler.clone_ref(py))
        else {
            return Ok(());
        };
        match handler.bind(py).call_method1(name, (value,)) {
            Ok(result) if result.is_none() => Ok(()),
            Ok(result) => slf.call_method1(intern!(py, "_hold"), (result,)).map(drop),
            Err(error)
                if error.is_instance_of::<PySystemExit>(py)
                    || error.is_instance_of::<PyKeyboardInterrupt>(py) =>
            {
                // They are for whoever runs the event loop.
                Err(error)
            }
            Err(error) => slf
                .call_method1(intern!(py, "_handler_failed"), (exception(py, &error)?,))
                .map(drop),
        }
    }

    /// The peer broke the rules: say so, and listen no more.
    fn fail(slf: Slf<'_, '_>, error: Error) -> PyResult<()> {
        slf.borrow_mut().unread = Unread::default();
        Self::send_close(slf, Some(error.code()), error.message())?;
        let arguments = (error.code(), error.message());
        slf.call_method1(intern!(slf.py(), "_peer_failed"), arguments)
            .map(drop)
    }

    /// RFC 6455 §5.5.3: of several pings that could not be answered, only the last one needs to be.
    fn answer_ping(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            if this.choked {
                this.pong = Some(data.to_vec());
                return Ok(());
            }
        }
        Self::send_control(slf, Opcode::Pong, data).map(drop)
    }

    fn send_control(slf: Slf<'_, '_>, opcode: Opcode, data: &[u8]) -> PyResult<bool> {
        let mut out = Vec::with_capacity(data.len() + 8);
        let sent = {
            let mut this = slf.borrow_mut();
            let key = this.key()?;
            this.transport.is_some() && this.core.send_control(&mut out, opcode, data, key)
        };
        Self::transmit(slf, out)?;
        Ok(sent)
    }

    fn send_close(slf: Slf<'_, '_>, code: Option<u16>, reason: &str) -> PyResult<bool> {
        let mut out = Vec::with_capacity(reason.len() + 10);
        let sent = {
            let mut this = slf.borrow_mut();
            let key = this.key()?;
            this.core.close(&mut out, code, reason, key)
        };
        Self::transmit(slf, out)?;
        // The transport may be closed next.
        Self::uncork(slf)?;
        Ok(sent)
    }

    /// Send frames: at once, or joined with others if there is more to do first.
    fn transmit(slf: Slf<'_, '_>, frames: Vec<u8>) -> PyResult<()> {
        if frames.is_empty() {
            return Ok(());
        }
        {
            let mut this = slf.borrow_mut();
            if this.pumping && this.more || !this.cork.is_empty() {
                this.cork.extend_from_slice(&frames);
                if this.cork.len() < CORK_LIMIT {
                    return Ok(());
                }
                drop(this);
                return Self::uncork(slf);
            }
        }
        Self::send(slf, &frames)
    }

    fn uncork(slf: Slf<'_, '_>) -> PyResult<()> {
        let frames = std::mem::take(&mut slf.borrow_mut().cork);
        if frames.is_empty() {
            return Ok(());
        }
        Self::send(slf, &frames)
    }

    fn send(slf: Slf<'_, '_>, frames: &[u8]) -> PyResult<()> {
        let py = slf.py();
        let output = slf.borrow().output.as_ref().map(|output| output.handle(py));
        if let Some(output) = output {
            let queued = output.send(py, frames)?;
            let gone = queued && output.is_closing(py)?;
            let mut this = slf.borrow_mut();
            if gone {
                // The transport has found out that the peer is not there: nothing more for it.
                this.core.fail();
            }
            if let Some(output) = &mut this.output {
                output.queued = queued;
            }
        }
        Ok(())
    }

    fn pause_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        let transport = {
            let mut this = slf.borrow_mut();
            let Some(transport) = this.transport.as_ref().filter(|_| !this.reading_paused) else {
                return Ok(());
            };
            let transport = transport.clone_ref(slf.py());
            this.reading_paused = true;
            transport
        };
        transport
            .call_method0(slf.py(), intern!(slf.py(), "pause_reading"))
            .map(drop)
    }

    fn resume_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let transport = {
            let mut this = slf.borrow_mut();
            if !std::mem::take(&mut this.reading_paused) {
                return Ok(());
            }
            this.transport
                .as_ref()
                .map(|transport| transport.clone_ref(py))
        };
        match transport {
            Some(transport)
                if !transport
                    .call_method0(py, intern!(py, "is_closing"))?
                    .is_truthy(py)? =>
            {
                transport
                    .call_method0(py, intern!(py, "resume_reading"))
                    .map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The connection is gone, and all that has come on it is done with.
    fn end(slf: Slf<'_, '_>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.lost = false;
            this.unread = Unread::default();
        }
        slf.call_method0(intern!(slf.py(), "_ended")).map(drop)
    }
}

#[pymethods]
impl WebSocketConnection {
    #[new]
    #[pyo3(signature = (handler, *, is_client, max_message_size, done))]
    fn new(handler: Py<PyAny>, is_client: bool, max_message_size: usize, done: Py<PyAny>) -> Self {
        let role = if is_client {
            Role::Client
        } else {
            Role::Server
        };
        Self {
            core: Connection::new(role, max_message_size, None),
            role,
            max_message_size,
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
        let waits = {
            let mut this = slf.borrow_mut();
            this.transport = None;
            this.output = None;
            this.cork = Vec::new();
            let clean = exc.is_none_or(|exc| exc.is_none());
            let unread = clean && this.unread.len() > 0 && this.core.is_reading();
            this.lost = unread && this.is_blocked();
            this.lost
        };
        slf.call_method0(intern!(slf.py(), "_lost"))?;
        if waits { Ok(()) } else { Self::end(slf) }
    }

    /// asyncio: the transport's buffer is over its high-water mark.
    fn pause_writing(&mut self) {
        self.choked = true;
    }

    /// asyncio: the transport's buffer is below its low-water mark again.
    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let pong = {
            let mut this = slf.borrow_mut();
            this.choked = false;
            this.pong.take()
        };
        if let Some(pong) = pong {
            Self::send_control(slf, Opcode::Pong, &pong)?;
        }
        slf.call_method0(intern!(slf.py(), "_resumed")).map(drop)
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
        let py = slf.py();
        if let Ok(text) = message.cast::<PyString>() {
            Self::send_payload(slf, text.to_str()?.as_bytes(), binary)?;
        } else if let Ok(data) = message.cast::<PyBytes>() {
            let data = data.as_bytes();
            if !binary && simdutf8::basic::from_utf8(data).is_err() {
                return Err(PyValueError::new_err(
                    "the message is not UTF-8; pass binary=True to send bytes",
                ));
            }
            Self::send_payload(slf, data, binary)?;
        } else if message.is_instance_of::<PyDict>() {
            let text = slf.call_method1(intern!(py, "_json"), (message,))?;
            Self::send_payload(slf, text.cast::<PyString>()?.to_str()?.as_bytes(), binary)?;
        } else if let Ok(buffer) = PyBuffer::<u8>::get(message) {
            let data = PyBytes::new(py, &buffer.to_vec(py)?);
            return Self::write_message(slf, &data, binary);
        } else {
            return Err(PyTypeError::new_err(format!(
                "a message is a str, bytes or a dict, not {}",
                message.get_type().name()?
            )));
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
        if Self::send_control(slf, opcode, data)? {
            Self::written(slf)
        } else {
            Err(Self::closed_error())
        }
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

    /// Whether the transport takes no more for now.
    #[getter]
    fn _is_choked(&self) -> bool {
        self.choked
    }
}

impl WebSocketConnection {
    fn send_payload(slf: Slf<'_, '_>, payload: &[u8], binary: bool) -> PyResult<()> {
        let opcode = if binary { Opcode::Binary } else { Opcode::Text };
        let mut out = Vec::new();
        let sent = {
            let mut this = slf.borrow_mut();
            let key = this.key()?;
            this.transport.is_some()
                && this
                    .core
                    .send(&mut out, opcode, payload, key)
                    .map_err(|error| WebSocketError::new_err(error.to_string()))?
        };
        if !sent {
            return Err(Self::closed_error());
        }
        Self::transmit(slf, out)
    }

    /// What the sender may wait for.
    fn written(slf: Slf<'_, '_>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.borrow();
        match &this.done {
            Some(done) if !this.choked => Ok(done.clone_ref(py)),
            _ => {
                drop(this);
                slf.call_method0(intern!(py, "_drained")).map(Bound::unbind)
            }
        }
    }
}

/// A masking key that nobody can foretell (RFC 6455 §10.3). The system is asked for many at once.
fn next_key() -> PyResult<Key> {
    const COUNT: usize = 256;
    thread_local! {
        static KEYS: RefCell<([Key; COUNT], usize)> = const { RefCell::new(([[0; 4]; COUNT], COUNT)) };
    }
    KEYS.with_borrow_mut(|(keys, used)| {
        if *used == COUNT {
            getrandom::fill(keys.as_flattened_mut())
                .map_err(|error| PyOSError::new_err(error.to_string()))?;
            *used = 0;
        }
        let key = keys[*used];
        // A key that has been used is forgotten.
        keys[*used] = [0; 4];
        *used += 1;
        Ok(key)
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("WebSocketError", py.get_type::<WebSocketError>())?;
    module.add(
        "WebSocketClosedError",
        py.get_type::<WebSocketClosedError>(),
    )?;
    module.add_class::<WebSocketConnection>()
}
