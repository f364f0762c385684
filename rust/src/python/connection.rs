//! `ServerConnection`: the asyncio protocol that drives the HTTP/1.1 core for one connection.
//!
//! | phase | waits for | deadline | then |
//! | --- | --- | --- | --- |
//! | `Idle` | the first byte of a request | `idle_timeout` | close |
//! | `Head` | the rest of a head | `header_timeout` | 408, linger |
//! | `Body` | the rest of a body | `body_timeout` | 408, linger |
//! | `Handler` | the application's response | none | |
//! | `HalfClosed` | the same; the client has closed its side | `header_timeout` | abort |
//! | `Linger` | the client's close, so that it reads our last words | `LINGER_SECONDS` | abort |
//!
//! Python code is never called while `self` is borrowed: it may call back into the connection.

use std::sync::LazyLock;
use std::time::Instant;

use pyo3::create_exception;
use pyo3::exceptions::{
    PyException, PyKeyboardInterrupt, PyRuntimeError, PySystemExit, PyValueError,
};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::buffers;
use super::errors::exception;
use super::headers::PyHeaders;
use super::output::Output;
use super::request::Request;
use super::text::to_latin1;
use crate::http1::{BodyLength, Decoder, EncodeError, Encoder, Error, Event, Head, Limits, Role};

/// How long a connection that is done for may go on sending (nginx: `lingering_timeout` 5 s).
const LINGER_SECONDS: f64 = 5.0;

/// Bodies above this go to the transport as they are; smaller ones join the head in one buffer.
const COPY_LIMIT: usize = 32 * 1024;

/// Unread bytes above which reading pauses while the application works on an earlier request.
const UNREAD_LIMIT: usize = 64 * 1024;

/// What is reserved for a body on the word of its Content-Length alone.
const BODY_RESERVE: u64 = 1024 * 1024;

create_exception!(
    typhoon.httputil,
    HTTPOutputError,
    PyException,
    "The application tried to send a malformed message."
);

impl From<EncodeError> for PyErr {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Status | EncodeError::StartLine | EncodeError::ContentLength => {
                PyValueError::new_err(error.to_string())
            }
            _ => HTTPOutputError::new_err(error.to_string()),
        }
    }
}

static CLOCK: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Seconds on a clock that only goes forward.
fn monotonic() -> f64 {
    CLOCK.elapsed().as_secs_f64()
}

/// What all connections of a server share. Times are in seconds, sizes in bytes.
///
/// `on_request(request)` is called with each complete request. If `on_head` is given, it is called
/// with the head of each request that has a body (with `every_head`, of each request); what it
/// returns, if not None, is an `HTTPMessageDelegate` that takes the body in pieces instead.
#[pyclass(frozen, module = "typhoon._core")]
pub struct ServerSettings {
    on_request: Py<PyAny>,
    on_head: Option<Py<PyAny>>,
    every_head: bool,
    chunk_size: usize,
    limits: Limits,
    header_timeout: f64,
    body_timeout: f64,
    idle_timeout: f64,
    keep_alive: bool,
}

#[pymethods]
impl ServerSettings {
    #[new]
    #[pyo3(signature = (*, on_request, on_head=None, every_head=false, chunk_size, max_header_size, max_body_size, header_timeout, body_timeout=None, idle_timeout, keep_alive=true))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        on_request: Py<PyAny>,
        on_head: Option<Py<PyAny>>,
        every_head: bool,
        chunk_size: usize,
        max_header_size: usize,
        max_body_size: u64,
        header_timeout: f64,
        body_timeout: Option<f64>,
        idle_timeout: f64,
        keep_alive: bool,
    ) -> Self {
        Self {
            on_request,
            on_head,
            every_head,
            chunk_size: chunk_size.max(1),
            limits: Limits {
                max_head_size: max_header_size,
                max_body_size,
            },
            header_timeout,
            body_timeout: body_timeout.unwrap_or(f64::INFINITY),
            idle_timeout,
            keep_alive,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on_request)?;
        visit.call(&self.on_head)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Body,
    Handler,
    HalfClosed,
    Linger,
}

/// Bytes that have come and are not done with. Appending is amortised O(1), consuming too:
/// the front is cut off only once it is the larger half. Bounded by what the decoder leaves over
/// (a head, a trailer section) and by `UNREAD_LIMIT` plus one read while a handler works.
#[derive(Default)]
struct Unread {
    buffer: Vec<u8>,
    start: usize,
}

impl Unread {
    fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.buffer.len() {
            // An idle connection keeps no buffer.
            *self = Self::default();
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }
}

/// One HTTP/1.1 connection to a client: an asyncio protocol. Subclassed in `typhoon.httpserver`,
/// which adds what needs the event loop.
#[pyclass(subclass, weakref, module = "typhoon._core")]
pub struct ServerConnection {
    settings: Py<ServerSettings>,
    transport: Option<Py<PyAny>>,
    output: Option<Output>,
    decoder: Decoder,
    encoder: Encoder,
    unread: Unread,
    request: Option<Py<Request>>,
    sink: Option<Py<PyAny>>,
    close_callback: Option<Py<PyAny>>,
    body: Vec<u8>,
    phase: Phase,
    deadline: f64,
    next_check: f64,
    body_timeout: f64,
    /// A request has come and its response is not complete.
    exchange: bool,
    /// Some of the request's body has not come.
    body_pending: bool,
    expects_continue: bool,
    upgrade: bool,
    /// The application has not taken in the last piece of body yet.
    held: bool,
    /// The client does not read what has been written: no further request is looked at.
    choked: bool,
    pumping: bool,
    reading_paused: bool,
    /// The client has closed its side.
    eof: bool,
    /// Nothing that comes in is looked at any more.
    deaf: bool,
}

/// Why the pump has stopped.
enum Pumped {
    /// There is nothing to go on with for now.
    All,
    /// A request has come whole that offers to take the connection over: complete it once what
    /// is behind it lies where `_detach` finds it.
    Upgrade,
}

type Slf<'a, 'py> = &'a Bound<'py, ServerConnection>;

impl ServerConnection {
    /// Whether nobody is there any more to take a response.
    fn is_gone(&self) -> bool {
        self.transport.is_none() || (self.deaf && !self.exchange)
    }

    /// Whether the next message has to wait.
    fn is_blocked(&self) -> bool {
        let answering = self.exchange && self.decoder.is_done();
        let choked = self.choked && !self.exchange && !self.decoder.in_body();
        self.held || self.deaf || answering || choked
    }

    /// Enter a phase that may last so many seconds.
    fn enter(slf: Slf<'_, '_>, phase: Phase, seconds: f64) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.phase = phase;
            this.deadline = monotonic() + seconds;
            if this.deadline >= this.next_check {
                return Ok(());
            }
            this.next_check = this.deadline;
        }
        slf.call_method1(intern!(slf.py(), "_watch"), (seconds,))?;
        Ok(())
    }

    fn transport_of<'py>(slf: Slf<'_, 'py>) -> Option<Bound<'py, PyAny>> {
        slf.borrow()
            .transport
            .as_ref()
            .map(|transport| transport.bind(slf.py()).clone())
    }

    fn write_bytes(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let py = slf.py();
        let output = slf.borrow().output.as_ref().map(|output| output.handle(py));
        match output {
            Some(output) => Self::note_queued(slf, output.send(py, data)?),
            None => Ok(()),
        }
    }

    /// Remember whether the transport may have something to send.
    fn note_queued(slf: Slf<'_, '_>, queued: bool) -> PyResult<()> {
        if let Some(output) = &mut slf.borrow_mut().output {
            output.queued = queued;
        }
        Ok(())
    }

    /// Work through `input` as far as it goes; how much of it is done with, and why it ends there.
    fn pump(slf: Slf<'_, '_>, input: &[u8]) -> PyResult<(usize, Pumped)> {
        let mut position = 0;
        loop {
            let decoded = {
                let mut this = slf.borrow_mut();
                if this.is_blocked() {
                    let done = if this.deaf { input.len() } else { position };
                    return Ok((done, Pumped::All));
                }
                // A sink gets no more at a time than it has asked for.
                let end = match &this.sink {
                    Some(_) => input.len().min(position + this.settings.get().chunk_size),
                    None => input.len(),
                };
                match this.decoder.decode(&input[position..end]) {
                    // Framing goes on behind that.
                    Ok((consumed, Event::NeedMore)) if end < input.len() => {
                        position += consumed;
                        this.decoder.decode(&input[position..])
                    }
                    decoded => decoded,
                }
            };
            let (consumed, event) = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    Self::fail(slf, error)?;
                    return Ok((input.len(), Pumped::All));
                }
            };
            position += consumed;
            match event {
                Event::NeedMore => {
                    Self::wait_for_more(slf, input.len() > position)?;
                    return Ok((position, Pumped::All));
                }
                Event::Head(head) => Self::begin(slf, head)?,
                Event::Data(data) => Self::receive(slf, data)?,
                // The bytes behind belong to whoever takes the connection over.
                Event::End(_) if slf.borrow().upgrade => return Ok((position, Pumped::Upgrade)),
                Event::End(_) => Self::complete(slf)?,
            }
        }
    }

    /// Work through new data and what was left over before it.
    fn feed(slf: Slf<'_, '_>, mut data: &[u8]) -> PyResult<()> {
        loop {
            let mut unread = {
                let mut this = slf.borrow_mut();
                this.pumping = true;
                std::mem::take(&mut this.unread)
            };
            let pumped = if unread.len() == 0 {
                Self::pump(slf, data).inspect(|&(consumed, _)| {
                    if consumed < data.len() {
                        unread.buffer = data[consumed..].to_vec();
                    }
                })
            } else {
                unread.buffer.extend_from_slice(data);
                Self::pump(slf, &unread.buffer[unread.start..])
                    .inspect(|&(consumed, _)| unread.consume(consumed))
            };
            if unread.len() > 0 {
                slf.borrow_mut().unread = unread;
            }
            let completed = match pumped {
                Ok((_, Pumped::Upgrade)) => Self::complete(slf).map(|()| true),
                Ok((_, Pumped::All)) => Ok(false),
                Err(error) => Err(error),
            };
            slf.borrow_mut().pumping = false;
            if completed? && !slf.borrow().is_blocked() {
                data = b"";
                continue;
            }
            if slf.borrow().unread.len() > UNREAD_LIMIT {
                Self::pause_reading(slf)?;
            }
            return Ok(());
        }
    }

    fn pause_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        if slf.borrow().reading_paused || !slf.borrow().is_blocked() {
            return Ok(());
        }
        if let Some(transport) = Self::transport_of(slf) {
            slf.borrow_mut().reading_paused = true;
            transport.call_method0(intern!(slf.py(), "pause_reading"))?;
        }
        Ok(())
    }

    fn resume_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        if !std::mem::take(&mut slf.borrow_mut().reading_paused) {
            return Ok(());
        }
        match Self::transport_of(slf) {
            Some(transport) if !transport.call_method0("is_closing")?.is_truthy()? => transport
                .call_method0(intern!(slf.py(), "resume_reading"))
                .map(drop),
            _ => Ok(()),
        }
    }

    /// The head of a request has come.
    fn begin(slf: Slf<'_, '_>, head: Box<Head>) -> PyResult<()> {
        let py = slf.py();
        let body = head.body;
        let on_head = {
            let mut this = slf.borrow_mut();
            this.encoder.answer(&head);
            let settings = this.settings.clone_ref(py);
            let settings = settings.get();
            if !settings.keep_alive {
                this.encoder.close_after();
            }
            this.decoder
                .set_max_body_size(settings.limits.max_body_size);
            this.body_timeout = settings.body_timeout;
            this.exchange = true;
            this.body_pending = body != BodyLength::Exact(0);
            this.expects_continue = head.expects_continue && this.body_pending;
            this.upgrade = head.upgrade;
            let wanted = this.body_pending || settings.every_head;
            settings
                .on_head
                .as_ref()
                .filter(|_| wanted)
                .map(|on_head| on_head.clone_ref(py))
        };
        let request = Py::new(
            py,
            Request::received(py, head, slf.clone().into_any().unbind()),
        )?;
        slf.borrow_mut().request = Some(request.clone_ref(py));
        if body != BodyLength::Exact(0) {
            let seconds = slf.borrow().body_timeout;
            Self::enter(slf, Phase::Body, seconds)?;
        }
        if let Some(on_head) = on_head {
            match on_head.bind(py).call1((request,)) {
                Ok(sink) if sink.is_none() => {}
                Ok(sink) => {
                    let mut this = slf.borrow_mut();
                    if this.exchange {
                        this.sink = Some(sink.unbind());
                    }
                }
                Err(error) => Self::application_failed(slf, &error)?,
            }
        }
        Ok(())
    }

    /// A piece of the body has come.
    fn receive(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let py = slf.py();
        let sink = {
            let mut this = slf.borrow_mut();
            this.expects_continue = false;
            if !this.exchange {
                return Ok(());
            }
            match &this.sink {
                Some(sink) => sink.clone_ref(py),
                None => {
                    if this.body.capacity() == 0 {
                        let expected = this.decoder.remaining().min(BODY_RESERVE) as usize;
                        this.body = buffers::take(expected + data.len());
                    }
                    this.body.extend_from_slice(data);
                    return Ok(());
                }
            }
        };
        match sink
            .bind(py)
            .call_method1(intern!(py, "data_received"), (PyBytes::new(py, data),))
        {
            Ok(awaitable) if awaitable.is_none() => Ok(()),
            Ok(awaitable) => {
                slf.call_method1(intern!(py, "hold"), (awaitable,))?;
                Ok(())
            }
            Err(error) => Self::application_failed(slf, &error),
        }
    }

    /// All of the request has come.
    fn complete(slf: Slf<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let (request, sink, settings) = {
            let mut this = slf.borrow_mut();
            this.body_pending = false;
            this.expects_continue = false;
            this.phase = Phase::Handler;
            this.deadline = f64::INFINITY;
            let body = std::mem::take(&mut this.body);
            let request = this.request.as_ref().map(|request| request.clone_ref(py));
            if let Some(request) = request.as_ref().filter(|_| !body.is_empty()) {
                request.bind(py).borrow_mut().receive_body(body);
            }
            let sink = this.sink.as_ref().map(|sink| sink.clone_ref(py));
            (request, sink, this.settings.clone_ref(py))
        };
        let Some(request) = request else {
            // The response was complete before the request was.
            return Self::next_message(slf);
        };
        let result = match sink {
            Some(sink) => sink.bind(py).call_method0(intern!(py, "finish")),
            None => settings.get().on_request.bind(py).call1((request,)),
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => Self::application_failed(slf, &error),
        }
    }

    /// All input has been worked through.
    fn wait_for_more(slf: Slf<'_, '_>, partial: bool) -> PyResult<()> {
        let (in_body, exchange, expects_continue, phase, eof) = {
            let this = slf.borrow();
            let expects = this.expects_continue && this.encoder.expects_head();
            (
                this.decoder.in_body(),
                this.exchange,
                expects,
                this.phase,
                this.eof,
            )
        };
        if in_body {
            if !exchange {
                return Self::linger(slf);
            }
            if eof {
                return slf.call_method0("close").map(drop);
            }
            if expects_continue {
                slf.borrow_mut().expects_continue = false;
                return Self::write_bytes(slf, b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        } else if eof {
            return slf.call_method0("close").map(drop);
        } else if partial && phase == Phase::Idle {
            let seconds = slf.borrow().settings.get().header_timeout;
            return Self::enter(slf, Phase::Head, seconds);
        }
        Ok(())
    }

    /// What came is against the rules: say so, as far as it can still be said, and close.
    fn fail(slf: Slf<'_, '_>, error: Error) -> PyResult<()> {
        Self::reject(slf, error.status(), error.message())
    }

    fn reject(slf: Slf<'_, '_>, status: u16, message: &str) -> PyResult<()> {
        let can_answer = {
            let mut this = slf.borrow_mut();
            let begun = this.exchange && !this.encoder.expects_head();
            if !begun {
                this.encoder.answer_malformed();
                this.exchange = true;
            }
            !begun
        };
        Self::notify_closed(slf)?;
        slf.borrow_mut().deaf = true;
        slf.call_method1(intern!(slf.py(), "_reject"), (status, message, can_answer))?;
        Ok(())
    }

    /// The application's callable or delegate raised.
    fn application_failed(slf: Slf<'_, '_>, error: &PyErr) -> PyResult<()> {
        let py = slf.py();
        if error.is_instance_of::<PySystemExit>(py)
            || error.is_instance_of::<PyKeyboardInterrupt>(py)
        {
            // They are for whoever runs the event loop.
            return Err(error.clone_ref(py));
        }
        let can_answer = slf.borrow().exchange && slf.borrow().encoder.expects_head();
        slf.borrow_mut().encoder.close_after();
        slf.call_method1(
            intern!(slf.py(), "_application_failed"),
            (exception(slf.py(), error)?, can_answer),
        )?;
        Ok(())
    }

    /// Tell a delegate that the rest of its message will not come.
    fn close_sink(slf: Slf<'_, '_>, sink: &Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        match sink.call_method0(py, intern!(py, "on_connection_close")) {
            Ok(_) => Ok(()),
            Err(error) => Self::application_failed(slf, &error),
        }
    }

    /// Tell whoever works on the request that the client has gone.
    fn notify_closed(slf: Slf<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let (callback, sink) = {
            let mut this = slf.borrow_mut();
            (this.close_callback.take(), this.sink.take())
        };
        let results = [
            callback.map(|callback| callback.bind(py).call0().map(drop)),
            sink.map(|sink| {
                sink.bind(py)
                    .call_method0(intern!(py, "on_connection_close"))
                    .map(drop)
            }),
        ];
        for error in results.into_iter().flatten().filter_map(Result::err) {
            slf.call_method1(
                intern!(py, "_application_failed"),
                (exception(py, &error)?, false),
            )?;
        }
        Ok(())
    }

    /// The response is complete.
    fn end_exchange(slf: Slf<'_, '_>) -> PyResult<()> {
        let (sink, ready, deaf, pumping, unread) = {
            let mut this = slf.borrow_mut();
            this.exchange = false;
            this.request = None;
            this.close_callback = None;
            this.body = Vec::new();
            let sink = this.sink.take();
            (
                sink.filter(|_| this.body_pending),
                this.decoder.is_done(),
                this.deaf,
                this.pumping,
                this.unread.len(),
            )
        };
        if let Some(sink) = sink {
            Self::close_sink(slf, &sink)?;
        }
        if deaf {
            return Self::linger(slf);
        }
        if ready {
            return Self::next_message(slf);
        }
        // Unread body: the pump throws away what is here already and then lingers.
        match (pumping, unread) {
            (true, _) => Ok(()),
            (false, 0) => Self::linger(slf),
            (false, _) => Self::pump_soon(slf),
        }
    }

    fn pump_soon(slf: Slf<'_, '_>) -> PyResult<()> {
        slf.call_method0(intern!(slf.py(), "_pump_soon")).map(drop)
    }

    /// Request and response are both complete: go on with the next pair, or close.
    fn next_message(slf: Slf<'_, '_>) -> PyResult<()> {
        let (go_on, pump) = {
            let mut this = slf.borrow_mut();
            // While the pump runs, it has the unread input.
            let at_end = this.eof && !this.pumping && this.unread.len() == 0;
            let go_on = this.encoder.keep_alive() && !at_end;
            if go_on {
                this.decoder.next_message();
                this.phase = Phase::Idle;
                let idle_timeout = this.settings.get().idle_timeout;
                this.deadline = monotonic() + idle_timeout;
            } else {
                this.deaf = true;
            }
            (go_on, !this.pumping && this.unread.len() > 0)
        };
        if !go_on {
            return slf.call_method0(intern!(slf.py(), "close")).map(drop);
        }
        if pump {
            return Self::pump_soon(slf);
        }
        Self::resume_reading(slf)
    }

    /// Send no more, and let the client read what we said before the connection goes: closing on
    /// a client that is still sending would reset it and destroy the response (RFC 9112 §9.6).
    fn linger(slf: Slf<'_, '_>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.deaf = true;
            this.unread = Unread::default();
        }
        let Some(transport) = Self::transport_of(slf) else {
            return Ok(());
        };
        if slf.borrow().eof {
            return slf.call_method0(intern!(slf.py(), "close")).map(drop);
        }
        if transport.call_method0("can_write_eof")?.is_truthy()?
            && !transport.call_method0("is_closing")?.is_truthy()?
        {
            transport.call_method0("write_eof")?;
        }
        Self::resume_reading(slf)?;
        Self::enter(slf, Phase::Linger, LINGER_SECONDS)
    }
}

#[pymethods]
impl ServerConnection {
    #[new]
    fn new(py: Python<'_>, settings: Py<ServerSettings>) -> Self {
        let _ = py;
        let (limits, body_timeout) = (settings.get().limits, settings.get().body_timeout);
        Self {
            settings,
            transport: None,
            output: None,
            decoder: Decoder::new(Role::Server, limits),
            encoder: Encoder::new(),
            unread: Unread::default(),
            request: None,
            sink: None,
            close_callback: None,
            body: Vec::new(),
            phase: Phase::Idle,
            deadline: f64::INFINITY,
            next_check: f64::INFINITY,
            body_timeout,
            exchange: false,
            body_pending: false,
            expects_continue: false,
            upgrade: false,
            held: false,
            choked: false,
            pumping: false,
            reading_paused: false,
            eof: false,
            deaf: false,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.settings)?;
        visit.call(&self.transport)?;
        if let Some(output) = &self.output {
            output.traverse(&visit)?;
        }
        visit.call(&self.request)?;
        visit.call(&self.sink)?;
        visit.call(&self.close_callback)
    }

    fn __clear__(&mut self) {
        self.transport = None;
        self.output = None;
        self.request = None;
        self.sink = None;
        self.close_callback = None;
    }

    /// asyncio: the connection is there.
    fn connection_made(slf: &Bound<'_, Self>, transport: Bound<'_, PyAny>) -> PyResult<()> {
        let idle_timeout = {
            let mut this = slf.borrow_mut();
            this.output = Some(Output::new(&transport)?);
            this.transport = Some(transport.unbind());
            this.settings.get().idle_timeout
        };
        Self::enter(slf, Phase::Idle, idle_timeout)
    }

    /// asyncio: bytes have come.
    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            if this.deaf {
                return Ok(());
            }
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

    /// asyncio: the client has closed its side. True keeps ours open, for a response in the making.
    fn eof_received(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (answering, waiting, deaf) = {
            let mut this = slf.borrow_mut();
            this.eof = true;
            let answering = this.exchange && this.decoder.is_done();
            (
                answering,
                this.unread.len() > 0 && this.is_blocked(),
                this.deaf,
            )
        };
        if waiting && !answering && !deaf {
            // What has come before is looked at first; that it is the last is noticed then.
            return Ok(true);
        }
        if answering && !deaf {
            let seconds = slf.borrow().settings.get().header_timeout;
            Self::enter(slf, Phase::HalfClosed, seconds)?;
            Self::notify_closed(slf)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// asyncio: the connection is gone.
    #[pyo3(signature = (exc=None))]
    fn connection_lost(slf: &Bound<'_, Self>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        let _ = exc;
        let exchange = {
            let mut this = slf.borrow_mut();
            this.deaf = true;
            this.output = None;
            this.unread = Unread::default();
            this.exchange
        };
        if exchange {
            // Who it was is still asked for, by the access log at least.
            slf.getattr(intern!(slf.py(), "context"))?;
        }
        let transport = slf.borrow_mut().transport.take();
        Self::notify_closed(slf)?;
        {
            let mut this = slf.borrow_mut();
            this.exchange = false;
            this.request = None;
            this.body = Vec::new();
        }
        drop(transport);
        slf.call_method0(intern!(slf.py(), "_lost")).map(drop)
    }

    /// Go on with input that has waited.
    fn _pump(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.borrow().is_blocked() || slf.borrow().pumping {
            return Ok(());
        }
        Self::feed(slf, b"")?;
        if slf.borrow().is_blocked() && slf.borrow().unread.len() > UNREAD_LIMIT {
            return Ok(());
        }
        Self::resume_reading(slf)
    }

    /// The piece of body that was handed out has (not) been taken in; the next one waits.
    fn _set_held(slf: &Bound<'_, Self>, held: bool) -> PyResult<()> {
        slf.borrow_mut().held = held;
        if held { Ok(()) } else { Self::_pump(slf) }
    }

    /// The transport's buffer is (not) over its high-water mark; responses must not pile up in it.
    fn _set_choked(slf: &Bound<'_, Self>, choked: bool) -> PyResult<()> {
        slf.borrow_mut().choked = choked;
        if choked { Ok(()) } else { Self::pump_soon(slf) }
    }

    /// A deadline may have passed: act upon it, or return the seconds until the next look.
    fn _expire(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        let phase = {
            let mut this = slf.borrow_mut();
            let now = monotonic();
            if this.transport.is_none() {
                return Ok(None);
            }
            if this.deadline > now {
                let limit = this.settings.get().idle_timeout.max(1.0);
                let seconds = (this.deadline - now).min(limit);
                this.next_check = now + seconds;
                return Ok(Some(seconds));
            }
            this.next_check = f64::INFINITY;
            this.phase
        };
        match phase {
            Phase::Idle => slf.call_method0("_close_idle").map(drop)?,
            Phase::Head => Self::reject(slf, 408, "timeout reading the request head")?,
            Phase::Body => Self::reject(slf, 408, "timeout reading the request body")?,
            Phase::Handler => {}
            Phase::HalfClosed | Phase::Linger => slf.call_method0("abort").map(drop)?,
        }
        Ok(None)
    }

    /// Send a whole response: head, body and end. `headers` gets a Content-Length if it has none.
    pub fn respond(
        slf: &Bound<'_, Self>,
        status: u16,
        reason: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        chunks: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        let py = slf.py();
        let mut length = 0;
        for chunk in chunks {
            length += chunk.cast::<PyBytes>()?.as_bytes().len();
        }
        let copies = length <= COPY_LIMIT;
        let mut out = Vec::with_capacity(512 + if copies { length } else { 0 });
        let (output, chunks_follow) = {
            let mut this = slf.borrow_mut();
            if this.is_gone() {
                return Ok(());
            }
            if !(status < 200 || status == 204 || status == 304) {
                let headers = &mut headers.borrow_mut().inner;
                if !headers.contains(b"Content-Length") && !headers.contains(b"Transfer-Encoding") {
                    let mut digits = itoa::Buffer::new();
                    headers.add_checked(b"Content-Length", digits.format(length).as_bytes());
                }
            }
            let mut encoder = this.encoder;
            if this.body_pending {
                encoder.close_after();
            }
            encoder.response(
                &mut out,
                status,
                &to_latin1(reason)?,
                &headers.borrow().inner,
            )?;
            let mut chunks_follow = false;
            if copies {
                for chunk in chunks {
                    encoder.data(&mut out, chunk.cast::<PyBytes>()?.as_bytes())?;
                }
            } else {
                chunks_follow = encoder.data_elsewhere(length as u64)?;
            }
            encoder.end(&mut out)?;
            // Nothing was wrong with it: from here on the response is on its way.
            this.encoder = encoder;
            (
                this.output.as_ref().map(|output| output.handle(py)),
                chunks_follow,
            )
        };
        if let Some(output) = output {
            let mut queued = output.send(py, &out)?;
            if chunks_follow {
                for chunk in chunks {
                    output.send_object(py, &chunk)?;
                }
                queued = true;
            }
            Self::note_queued(slf, queued)?;
        }
        Self::end_exchange(slf)
    }

    /// Send the head of a response, and the first piece of its body if there is one.
    #[pyo3(signature = (status, reason, headers, chunk=None))]
    fn send_head(
        slf: &Bound<'_, Self>,
        status: u16,
        reason: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        chunk: Option<&[u8]>,
    ) -> PyResult<()> {
        let mut out = Vec::with_capacity(512 + chunk.map_or(0, <[u8]>::len));
        {
            let mut this = slf.borrow_mut();
            if this.is_gone() {
                return Ok(());
            }
            let reason = to_latin1(reason)?;
            this.encoder
                .response(&mut out, status, &reason, &headers.borrow().inner)?;
            if let Some(chunk) = chunk {
                this.encoder.data(&mut out, chunk)?;
            }
        }
        Self::write_bytes(slf, &out)
    }

    /// Send a piece of the body.
    fn send_data(slf: &Bound<'_, Self>, chunk: &[u8]) -> PyResult<()> {
        let mut out = Vec::with_capacity(chunk.len() + 16);
        if slf.borrow().is_gone() {
            return Ok(());
        }
        slf.borrow_mut().encoder.data(&mut out, chunk)?;
        if out.is_empty() {
            Ok(())
        } else {
            Self::write_bytes(slf, &out)
        }
    }

    /// Account for so many bytes of body that are sent past this object; whether to send them.
    fn _data_elsewhere(&mut self, length: u64) -> PyResult<bool> {
        Ok(self.encoder.data_elsewhere(length)?)
    }

    /// Send the end of the response.
    fn send_end(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.borrow().is_gone() {
            return Ok(());
        }
        let mut out = Vec::new();
        let ended = slf.borrow_mut().encoder.end(&mut out);
        if !out.is_empty() {
            Self::write_bytes(slf, &out)?;
        }
        if let Err(error) = ended {
            slf.borrow_mut().deaf = true;
            slf.call_method0("abort")?;
            return Err(error.into());
        }
        Self::end_exchange(slf)
    }

    /// Take the connection away from HTTP: the bytes that have come behind the request.
    fn _detach(&mut self) -> PyResult<Vec<u8>> {
        if self.transport.is_none() {
            return Err(PyRuntimeError::new_err("the connection is closed"));
        }
        self.deaf = true;
        self.exchange = false;
        self.request = None;
        self.sink = None;
        self.close_callback = None;
        self.output = None;
        self.transport = None;
        let unread = std::mem::take(&mut self.unread);
        Ok(unread.buffer[unread.start..].to_vec())
    }

    /// The client broke a rule that the core does not know: answer so, and close.
    #[pyo3(name = "reject")]
    fn reject_request(slf: &Bound<'_, Self>, status: u16, message: &str) -> PyResult<()> {
        Self::reject(slf, status, message)
    }

    /// Call this when the client closes before the response is complete; None forgets it.
    fn set_close_callback(&mut self, callback: Option<Py<PyAny>>) {
        self.close_callback = callback.filter(|_| self.exchange);
    }

    /// The application has raised this somewhere else than in a call from here.
    #[pyo3(name = "_failed")]
    fn failed(slf: &Bound<'_, Self>, error: Bound<'_, PyAny>) -> PyResult<()> {
        Self::application_failed(slf, &PyErr::from_value(error))
    }

    /// Allow this request's body so many bytes, and those after it.
    fn set_max_body_size(&mut self, max_body_size: u64) {
        self.decoder.set_max_body_size(max_body_size);
    }

    /// How many bytes this request's body may have.
    #[getter]
    fn max_body_size(&self) -> u64 {
        self.decoder.max_body_size()
    }

    /// Allow this request's body so many seconds from now.
    fn set_body_timeout(slf: &Bound<'_, Self>, timeout: f64) -> PyResult<()> {
        slf.borrow_mut().body_timeout = timeout;
        if slf.borrow().phase == Phase::Body {
            Self::enter(slf, Phase::Body, timeout)
        } else {
            Ok(())
        }
    }

    /// Close behind this response instead of keeping the connection.
    fn close_after_response(&mut self) {
        self.encoder.close_after();
    }

    /// The asyncio transport, None once the connection is gone.
    #[getter]
    fn transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.transport
            .as_ref()
            .map(|transport| transport.clone_ref(py))
    }

    /// Whether a request is being received or answered.
    #[getter]
    fn is_busy(&self) -> bool {
        self.exchange || self.phase == Phase::Head
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("HTTPOutputError", module.py().get_type::<HTTPOutputError>())?;
    module.add_class::<ServerSettings>()?;
    module.add_class::<ServerConnection>()
}
