//! What comes: worked through, kept for later, or not read from the socket at all.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::super::errors::exception;
use super::super::text::unmasked;
use super::super::transport;
use super::super::unread::Unread;
use super::{Slf, WebSocketConnection, is_for_the_loop};
use crate::websocket::{Error, Event, Payload, mask};

/// Unread bytes above which reading pauses while the handler works.
pub(super) const UNREAD_LIMIT: usize = 64 * 1024;

/// Events after which others have their turn, though more input is there.
const EVENTS_PER_TURN: usize = 64;

/// Bytes of messages after which others have their turn: decompressed, they are many more than the
/// input.
const PAYLOAD_PER_TURN: usize = 1024 * 1024;

impl WebSocketConnection {
    pub(super) fn is_blocked(&self) -> bool {
        self.held || self.yielding
    }

    /// Work through `input` as far as it goes; how much of it is done with.
    fn pump(slf: Slf<'_, '_>, input: &[u8]) -> PyResult<usize> {
        let py = slf.py();
        let mut position = 0;
        let mut payload = 0;
        for _ in 0..EVENTS_PER_TURN {
            if payload > PAYLOAD_PER_TURN {
                break;
            }
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
                    payload += text.len();
                    let text = match &text {
                        Payload::Wire(text, Some(key)) => {
                            unmasked(py, text, |text| mask(text, *key, 0))?
                        }
                        Payload::Wire(text, None) => PyString::from_bytes(py, text)?,
                        Payload::Owned(text) => PyString::from_bytes(py, text)?,
                    };
                    Self::deliver(slf, intern!(py, "on_message"), text.into_any())?;
                }
                Ok((_, Event::Binary(data))) => {
                    payload += data.len();
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
    pub(super) fn feed(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
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
    pub(super) fn deliver(
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
            Err(error) if is_for_the_loop(py, &error) => Err(error),
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
            Some(transport) => transport::resume_reading(transport.bind(py)),
            None => Ok(()),
        }
    }

    /// The connection is gone, and all that has come on it is done with.
    pub(super) fn end(slf: Slf<'_, '_>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.lost = false;
            this.unread = Unread::default();
        }
        slf.call_method0(intern!(slf.py(), "_ended")).map(drop)
    }
}
