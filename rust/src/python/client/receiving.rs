//! What comes: responses, and ends of connections.

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use super::{ClientConnection, Exchange, ExchangeError, Received, ResponseHead, Slf, UNREAD_LIMIT};
use crate::http1::{Error, Event, Head, StartLine, idle_seconds};
use crate::python::errors::exception;
use crate::python::headers::PyHeaders;
use crate::python::request::version_name;
use crate::python::text::latin1;
use crate::python::transport;

/// How many 1xx responses may come before the response: more than any server has to say.
const MAX_INFORMATIONAL: u8 = 32;

/// `time.monotonic()`, the clock that the Python side reads.
fn now(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static MONOTONIC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(MONOTONIC.import(py, "time", "monotonic")?.call0()?.unbind())
}

/// What a response that breaks a rule is called in an `ExchangeError`.
const fn kind_of(error: Error) -> &'static str {
    match error {
        Error::HeadTooLarge | Error::TooManyFields => "header_too_large",
        Error::BodyTooLarge | Error::LengthTooLarge | Error::ChunksTooLarge => "body_too_large",
        Error::Incomplete => "truncated",
        _ => "malformed",
    }
}

impl ClientConnection {
    /// Bytes have come.
    pub(super) fn receive(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let (idle, kept) = {
            let mut this = slf.borrow_mut();
            if this.exchange.is_none() {
                this.persistent = false;
                (true, None)
            } else if this.held || this.pumping {
                this.unread.buffer.extend_from_slice(data);
                (false, Some(this.unread.len()))
            } else {
                (false, None)
            }
        };
        if idle {
            // RFC 9112 §9.2: it may not be taken for the answer to the next request.
            Self::abort_transport(slf)?;
            return Self::tell_idle_close(slf);
        }
        match kept {
            Some(size) if size > UNREAD_LIMIT => Self::pause_reading(slf),
            Some(_) => Ok(()),
            None => Self::feed(slf, data),
        }
    }

    /// Work through `input` as far as it goes; how much of it is done with.
    fn pump(slf: Slf<'_, '_>, input: &[u8]) -> PyResult<usize> {
        let mut position = 0;
        loop {
            let decoded = {
                let mut this = slf.borrow_mut();
                if this.exchange.is_none() {
                    if position < input.len() {
                        // Nobody has asked for it.
                        this.persistent = false;
                    }
                    return Ok(input.len());
                }
                if this.held {
                    return Ok(position);
                }
                this.decoder.decode(&input[position..])
            };
            let (consumed, event) = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    Self::fail(slf, kind_of(error), error.message(), None)?;
                    return Ok(input.len());
                }
            };
            position += consumed;
            match event {
                Event::NeedMore => return Ok(position),
                Event::Head(head) => Self::receive_head(slf, *head)?,
                Event::Data(data) => Self::receive_content(slf, data)?,
                Event::End(_) => Self::complete(slf, position < input.len())?,
            }
        }
    }

    /// Work through new data and what was left over before it.
    pub(super) fn feed(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let mut unread = {
            let mut this = slf.borrow_mut();
            if this.received == Received::Nothing && !data.is_empty() {
                this.received = Received::PartOfHead;
            }
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
        let full = {
            let mut this = slf.borrow_mut();
            this.pumping = false;
            this.unread = unread;
            if this.exchange.is_none() {
                this.unread = Default::default();
            }
            this.held && this.unread.len() > UNREAD_LIMIT
        };
        pumped?;
        if full {
            return Self::pause_reading(slf);
        }
        let over = {
            let this = slf.borrow();
            this.ended && !this.held && this.exchange.is_some()
        };
        if over { Self::end_input(slf) } else { Ok(()) }
    }

    fn receive_head(slf: Slf<'_, '_>, mut head: Head) -> PyResult<()> {
        let py = slf.py();
        let StartLine::Response { status, reason } = &head.start_line else {
            return Ok(());
        };
        let status = *status;
        let reason = latin1(py, head.text(reason));
        let version = version_name(py, head.version);
        let hint = head.headers.get(b"Keep-Alive").and_then(idle_seconds);
        let inner = std::mem::take(&mut head.headers);
        let headers = Py::new(py, PyHeaders { inner })?;
        let received_at = now(py)?;
        let delegate = {
            let mut this = slf.borrow_mut();
            if hint.is_some() {
                this.keep_alive_timeout = hint;
            }
            let Some(exchange) = &mut this.exchange else {
                return Ok(());
            };
            if status >= 200 || status == 101 {
                exchange.head = Some(ResponseHead {
                    version: version.clone().unbind(),
                    status,
                    reason: reason.clone().unbind(),
                    headers: headers.clone_ref(py),
                    received_at,
                    // RFC 9110 §7.8: what follows is another protocol.
                    keep_alive: head.keep_alive && status != 101,
                });
            }
            let delegate = exchange
                .delegate
                .as_ref()
                .map(|delegate| delegate.clone_ref(py));
            if exchange.head.is_some() {
                this.received = Received::Head;
            } else {
                this.informational += 1;
            }
            delegate
        };
        if slf.borrow().informational > MAX_INFORMATIONAL {
            return Self::fail(slf, "malformed", "too many 1xx responses", None);
        }
        let Some(delegate) = delegate else {
            return Ok(());
        };
        let result = delegate.bind(py).call_method1(
            intern!(py, "headers_received"),
            ((version, status, reason), headers),
        );
        Self::take_result(slf, result)
    }

    fn receive_content(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let py = slf.py();
        let delegate = {
            let mut this = slf.borrow_mut();
            let announced = this.decoder.remaining();
            let Some(exchange) = &mut this.exchange else {
                return Ok(());
            };
            match &exchange.delegate {
                Some(delegate) if exchange.streams => delegate.clone_ref(py),
                _ => return exchange.body.add(py, data, announced),
            }
        };
        let result = delegate
            .bind(py)
            .call_method1(intern!(py, "data_received"), (PyBytes::new(py, data),));
        Self::take_result(slf, result)
    }

    /// Wait for what a delegate has returned, or end the exchange with what it has raised.
    fn take_result(slf: Slf<'_, '_>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        match result {
            Ok(result) if result.is_none() => Ok(()),
            Ok(result) => slf.call_method1(intern!(py, "_hold"), (result,)).map(drop),
            Err(error)
                if error.is_instance_of::<PySystemExit>(py)
                    || error.is_instance_of::<PyKeyboardInterrupt>(py) =>
            {
                // They are for whoever runs the event loop.
                Err(error)
            }
            Err(error) => Self::end_badly(slf, exception(py, &error)?.into_any()),
        }
    }

    /// The response has come whole; `more` has come behind it, which nobody has asked for.
    fn complete(slf: Slf<'_, '_>, more: bool) -> PyResult<()> {
        let py = slf.py();
        let (exchange, output) = {
            let mut this = slf.borrow_mut();
            let Some(exchange) = this.exchange.take() else {
                return Ok(());
            };
            this.exchanges += 1;
            let output = this.output.as_ref().filter(|output| output.queued);
            let output = output.map(|output| output.handle(py));
            (exchange, output)
        };
        let Exchange {
            waiter, head, body, ..
        } = exchange;
        let Some(head) = head else {
            return Ok(());
        };
        let unsent = match output {
            Some(output) => output.has_unsent(py)?,
            None => false,
        };
        {
            let mut this = slf.borrow_mut();
            // RFC 9112 §9.3: only after the whole request may another one follow.
            this.persistent &= head.keep_alive && !this.encoder.is_open() && !more && !unsent;
        }
        let body = body.finish(py)?;
        let waiter = waiter.bind(py);
        if waiter.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let response = (
            head.version,
            head.status,
            head.reason,
            head.headers,
            body,
            head.received_at,
        );
        waiter
            .call_method1(intern!(py, "set_result"), (response,))
            .map(drop)
    }

    /// The exchange ends without a response, and the connection with it.
    pub(super) fn fail(
        slf: Slf<'_, '_>,
        kind: &str,
        message: &str,
        cause: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let error = ExchangeError::new_err((kind.to_owned(), message.to_owned(), cause));
        Self::end_badly(
            slf,
            error.into_value(slf.py()).into_bound(slf.py()).into_any(),
        )
    }

    /// The exchange ends with this error.
    pub(super) fn end_badly(slf: Slf<'_, '_>, error: Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let exchange = slf.borrow_mut().exchange.take();
        Self::abort_transport(slf)?;
        let Some(exchange) = exchange else {
            return Ok(());
        };
        let waiter = exchange.waiter.bind(py);
        if waiter.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        waiter
            .call_method1(intern!(py, "set_exception"), (error,))
            .map(drop)
    }

    /// Nothing more will come: the end of a response that lasts until then, or of the exchange.
    pub(super) fn end_input(slf: Slf<'_, '_>) -> PyResult<()> {
        let (complete, received, cause) = {
            let mut this = slf.borrow_mut();
            if this.exchange.is_none() {
                return Ok(());
            }
            this.persistent = false;
            let received = this.received;
            let cause = this.cause.take();
            let unread = std::mem::take(&mut this.unread);
            let end = this.decoder.finish_input(&unread.buffer[unread.start..]);
            (
                matches!(end, Ok(Some(_))) && cause.is_none(),
                received,
                cause,
            )
        };
        if complete {
            Self::complete(slf, false)
        } else if received > Received::Nothing {
            let message = "the server closed the connection in the middle of the response";
            Self::fail(slf, "truncated", message, cause)
        } else {
            let message = "the server closed the connection without a response";
            Self::fail(slf, "closed", message, cause)
        }
    }

    pub(super) fn pause_reading(slf: Slf<'_, '_>) -> PyResult<()> {
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

    pub(super) fn resume_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        if !std::mem::take(&mut slf.borrow_mut().reading_paused) {
            return Ok(());
        }
        match Self::transport_of(slf) {
            Some(transport) => transport::resume_reading(&transport),
            None => Ok(()),
        }
    }
}
