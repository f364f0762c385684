//! What goes: messages and control frames, joined while there is more to do first.

use std::cell::RefCell;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;

use pyo3::types::PyBytes;

use super::super::output::Output;
use super::{Slf, WebSocketClosedError, WebSocketConnection, WebSocketError};
use crate::websocket::{Head, Key, Opcode, Role};

/// Frames that are sent while more input is there are joined up to so many bytes.
const CORK_LIMIT: usize = 64 * 1024;

/// Payloads from this length on are sent from where they are.
const LONG: usize = 4096;

/// Whether a message may be sent.
pub(super) enum Admission {
    /// It may.
    Granted,
    /// The client reads too slowly and misses this one.
    Skipped,
    /// Either side has begun to close, or the client reads so slowly that we have just begun.
    Closed,
}

impl WebSocketConnection {
    /// Ask before a message is made, or a control frame, which is not counted.
    pub(super) fn admit(slf: Slf<'_, '_>, counts: bool) -> PyResult<Admission> {
        {
            let mut this = slf.borrow_mut();
            if this.transport.is_none() || !this.core.is_open() {
                return Ok(Admission::Closed);
            }
            let is_late = this.choked && this.cork.len() > this.max_write_buffer;
            if !is_late && this.skipped == 0 {
                return Ok(Admission::Granted);
            }
            if this.skips {
                this.skipped += usize::from(counts);
                return Ok(Admission::Skipped);
            }
            // The Close goes behind what the transport has, and nothing else is in its way.
            this.cork = Vec::new();
            this.dropped = true;
        }
        slf.call_method0(intern!(slf.py(), "_reads_too_slowly"))?;
        Ok(Admission::Closed)
    }

    /// A masking key, if we need one.
    fn key(&self) -> PyResult<Option<Key>> {
        match self.role {
            Role::Client => next_key().map(Some),
            Role::Server => Ok(None),
        }
    }

    pub(super) fn closed_error() -> PyErr {
        WebSocketClosedError::new_err("the WebSocket is closed")
    }

    /// RFC 6455 §5.5.3: of several pings that could not be answered, only the last one needs to be.
    pub(super) fn answer_ping(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            if this.choked {
                this.pong = Some(data.to_vec());
                return Ok(());
            }
        }
        Self::send_control(slf, Opcode::Pong, data).map(drop)
    }

    pub(super) fn send_control(slf: Slf<'_, '_>, opcode: Opcode, data: &[u8]) -> PyResult<bool> {
        let mut out = Vec::with_capacity(data.len() + 8);
        let sent = {
            let mut this = slf.borrow_mut();
            let key = this.key()?;
            this.transport.is_some() && this.core.send_control(&mut out, opcode, data, key)
        };
        Self::transmit(slf, &out, None)?;
        Ok(sent)
    }

    pub(super) fn send_close(slf: Slf<'_, '_>, code: Option<u16>, reason: &str) -> PyResult<bool> {
        let mut out = Vec::with_capacity(reason.len() + 10);
        let sent = {
            let mut this = slf.borrow_mut();
            let key = this.key()?;
            this.core.close(&mut out, code, reason, key)
        };
        Self::transmit(slf, &out, None)?;
        // The transport may be closed next.
        Self::flush(slf)?;
        Ok(sent)
    }

    pub(super) fn send_payload(slf: Slf<'_, '_>, payload: &[u8], opcode: Opcode) -> PyResult<()> {
        let py = slf.py();
        let mut out = Vec::new();
        let output = {
            let this = slf.borrow();
            let output = this
                .output
                .as_ref()
                .filter(|_| payload.len() >= LONG && this.core.is_plain() && !this.is_corked());
            output.map(|output| output.handle(py))
        };
        if let Some(output) = output {
            // The payload is not copied, only read by the socket.
            Head::of_message(opcode, payload.len()).write(&mut out);
            let queued = output.send_behind(py, &out, payload)?;
            return Self::note_queued(slf, &output, queued);
        }
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
        Self::transmit(slf, &out, None)
    }

    /// What the sender may wait for.
    pub(super) fn written(slf: Slf<'_, '_>) -> PyResult<Py<PyAny>> {
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

    /// Send frames: at once, or joined with others if there is more to do first. `object` is the
    /// same as a bytes object, if others hold it too.
    pub(super) fn transmit(
        slf: Slf<'_, '_>,
        frames: &[u8],
        object: Option<&Bound<'_, PyBytes>>,
    ) -> PyResult<()> {
        if frames.is_empty() {
            return Ok(());
        }
        {
            let mut this = slf.borrow_mut();
            if this.is_corked() {
                this.cork.extend_from_slice(frames);
                if this.choked || this.cork.len() < CORK_LIMIT {
                    return Ok(());
                }
                drop(this);
                return Self::flush(slf);
            }
        }
        Self::send(slf, frames, object)
    }

    /// Send what has been joined, unless the transport has enough for now.
    pub(super) fn uncork(slf: Slf<'_, '_>) -> PyResult<()> {
        if slf.borrow().choked {
            Ok(())
        } else {
            Self::flush(slf)
        }
    }

    /// Hand what is kept to the transport, even if that has enough.
    pub(super) fn flush(slf: Slf<'_, '_>) -> PyResult<()> {
        let frames = std::mem::take(&mut slf.borrow_mut().cork);
        if frames.is_empty() {
            return Ok(());
        }
        Self::send(slf, &frames, None)
    }

    fn send(slf: Slf<'_, '_>, frames: &[u8], object: Option<&Bound<'_, PyBytes>>) -> PyResult<()> {
        let py = slf.py();
        let output = slf.borrow().output.as_ref().map(|output| output.handle(py));
        match output {
            Some(output) => {
                let queued = output.send_shared(py, frames, object)?;
                Self::note_queued(slf, &output, queued)
            }
            None => Ok(()),
        }
    }

    /// Remember whether the transport may have something to send.
    fn note_queued(slf: Slf<'_, '_>, output: &Output, queued: bool) -> PyResult<()> {
        let gone = queued && output.is_closing(slf.py())?;
        let mut this = slf.borrow_mut();
        if gone {
            // The transport has found out that the peer is not there: nothing more for it.
            this.core.fail();
        }
        if let Some(output) = &mut this.output {
            output.queued = queued;
        }
        Ok(())
    }

    /// Whether frames are kept for a while, behind others or for want of room.
    fn is_corked(&self) -> bool {
        self.choked || self.pumping && self.more || !self.cork.is_empty()
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
