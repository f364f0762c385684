//! What goes: messages and control frames, joined while there is more to do first.

use std::cell::RefCell;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;

use super::{Slf, WebSocketClosedError, WebSocketConnection, WebSocketError};
use crate::websocket::{Key, Opcode, Role};

/// Frames that are sent while more input is there are joined up to so many bytes.
const CORK_LIMIT: usize = 64 * 1024;

impl WebSocketConnection {
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
        Self::transmit(slf, out)?;
        Ok(sent)
    }

    pub(super) fn send_close(slf: Slf<'_, '_>, code: Option<u16>, reason: &str) -> PyResult<bool> {
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

    pub(super) fn send_payload(slf: Slf<'_, '_>, payload: &[u8], binary: bool) -> PyResult<()> {
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

    pub(super) fn uncork(slf: Slf<'_, '_>) -> PyResult<()> {
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
