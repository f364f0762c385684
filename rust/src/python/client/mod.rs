//! `ClientConnection`: the asyncio protocol that drives the HTTP/1.1 core for one connection to a
//! server.
//!
//! | state | input is | until |
//! | --- | --- | --- |
//! | idle | what spoils the connection: nobody has asked for it | `send_request` |
//! | an exchange runs | worked through at once | the response is complete, or wrong |
//! | its delegate waits for something (`held`) | kept in `unread`, or not read from the socket | `_set_held(False)` |
//! | the connection is lost | what is in `unread`, worked through; then the exchange ends | |
//!
//! How an exchange ends is told to its `waiter`, a future or something like it, once: with a tuple
//! that is the response, or with an [`ExchangeError`] whose first argument says what was wrong:
//!
//! | kind | the server |
//! | --- | --- |
//! | `closed` | closed the connection before any byte of the response |
//! | `truncated` | closed it in the middle of the response |
//! | `malformed` | broke the rules of RFC 9112 |
//! | `header_too_large`, `body_too_large` | sent more than the limits allow |
//!
//! Python code is never called while `self` is borrowed: it may call back into the connection.

mod collecting;
mod protocol;
mod reading;
mod receiving;
mod sending;

use std::os::raw::c_int;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use self::collecting::Collector;
use super::headers::PyHeaders;
use super::output::Output;
use super::unread::Unread;
use crate::http1::{Decoder, Encoder};

/// Unread bytes above which reading pauses while a delegate works.
const UNREAD_LIMIT: usize = 64 * 1024;

create_exception!(
    typhoon._core,
    ExchangeError,
    PyException,
    "A response did not come, or not whole: what kind of failure, a message, and the error of the network or None."
);

/// The head of a response, as Python sees it.
struct ResponseHead {
    version: Py<PyString>,
    status: u16,
    reason: Py<PyString>,
    headers: Py<PyHeaders>,
    /// When it came, on the clock of `time.monotonic`.
    received_at: Py<PyAny>,
    /// Whether the server keeps the connection.
    keep_alive: bool,
}

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Received {
    Nothing,
    /// A 1xx response may have come whole.
    PartOfHead,
    Head,
}

/// A request that has been begun, and its response.
struct Exchange {
    /// Is told of the end.
    waiter: Py<PyAny>,
    /// Is told of heads, and of content if it `streams`.
    delegate: Option<Py<PyAny>>,
    streams: bool,
    head: Option<ResponseHead>,
    body: Collector,
}

/// One HTTP/1.1 connection to a server: an asyncio protocol. Subclassed in
/// `typhoon.simple_httpclient`, which adds what needs the event loop.
///
/// Sizes are in bytes: of a response's head, and of its body.
#[pyclass(subclass, weakref, module = "typhoon._core")]
pub struct ClientConnection {
    transport: Option<Py<PyAny>>,
    output: Option<Output>,
    /// The socket, under TLS too: it is only looked at.
    socket: Option<c_int>,
    decoder: Decoder,
    encoder: Encoder,
    unread: Unread,
    exchange: Option<Exchange>,
    /// How far the last response has come.
    received: Received,
    /// How many 1xx responses have come before it.
    informational: u8,
    /// How many responses have come whole.
    exchanges: u64,
    /// All that has been said lets another request follow.
    persistent: bool,
    keep_alive_timeout: Option<u64>,
    on_idle_close: Option<Py<PyAny>>,
    /// The delegate has not taken in the last piece of the body yet.
    held: bool,
    /// The server does not read what has been written.
    choked: bool,
    pumping: bool,
    reading_paused: bool,
    /// The server has closed its side, or the connection is gone; with the error if there is one.
    ended: bool,
    cause: Option<Py<PyAny>>,
}

type Slf<'a, 'py> = &'a Bound<'py, ClientConnection>;

impl ClientConnection {
    fn transport_of<'py>(slf: Slf<'_, 'py>) -> Option<Bound<'py, PyAny>> {
        slf.borrow()
            .transport
            .as_ref()
            .map(|transport| transport.bind(slf.py()).clone())
    }

    /// Whether another request may be sent.
    fn may_be_used(&self) -> bool {
        self.transport.is_some()
            && self.persistent
            && self.exchange.is_none()
            && !self.ended
            && !self.held
            && self.unread.len() == 0
    }

    /// Tell whoever keeps the connection for later that it has been closed.
    fn tell_idle_close(slf: Slf<'_, '_>) -> PyResult<()> {
        let callback = slf.borrow_mut().on_idle_close.take();
        match callback {
            Some(callback) => callback.bind(slf.py()).call0().map(drop),
            None => Ok(()),
        }
    }

    fn end_transport(slf: Slf<'_, '_>, name: &Bound<'_, PyString>) -> PyResult<()> {
        slf.borrow_mut().persistent = false;
        match Self::transport_of(slf) {
            Some(transport) => transport.call_method0(name).map(drop),
            None => Ok(()),
        }
    }

    /// Close the transport at once.
    fn abort_transport(slf: Slf<'_, '_>) -> PyResult<()> {
        Self::end_transport(slf, intern!(slf.py(), "abort"))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ExchangeError", module.py().get_type::<ExchangeError>())?;
    module.add_class::<ClientConnection>()
}
