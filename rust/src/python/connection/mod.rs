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

mod ending;
mod input;
mod protocol;
mod settings;

use std::sync::LazyLock;
use std::time::Instant;

use pyo3::intern;
use pyo3::prelude::*;

use self::settings::ServerSettings;
use super::output::Output;
use super::request::Request;
use super::unread::Unread;
use crate::http1::{Decoder, Encoder};

/// Unread bytes above which reading pauses while the application works on an earlier request.
const UNREAD_LIMIT: usize = 64 * 1024;

static CLOCK: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Seconds on a clock that only goes forward.
fn monotonic() -> f64 {
    CLOCK.elapsed().as_secs_f64()
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
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ServerSettings>()?;
    module.add_class::<ServerConnection>()
}
