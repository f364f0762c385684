//! One message to many connections: it is framed once, and compressed once for each way of
//! compression that has been agreed upon, which mostly is one.

use std::thread;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::super::errors::exception;
use super::message::Message;
use super::sending::Admission;
use super::{Slf, WebSocketConnection, WebSocketError, is_for_the_loop};
use crate::websocket::{Deflation, Opcode, Role, shared_frame};

/// A message, and the frames that have been made of it.
struct Shared<'py, 'a> {
    py: Python<'py>,
    opcode: Opcode,
    payload: &'a [u8],
    frames: Vec<(Option<Deflation>, Bound<'py, PyBytes>, bool)>,
}

impl<'py> Shared<'py, '_> {
    /// The frame for a connection that compresses so, and whether it is compressed.
    fn frame(&mut self, deflation: Option<Deflation>) -> PyResult<(Bound<'py, PyBytes>, bool)> {
        let made = self.frames.iter().find(|(made, ..)| *made == deflation);
        if let Some((_, frame, compressed)) = made {
            return Ok((frame.clone(), *compressed));
        }
        let (frame, compressed) = shared_frame(self.opcode, self.payload, deflation)
            .map_err(|error| WebSocketError::new_err(error.to_string()))?;
        let frame = PyBytes::new(self.py, &frame);
        self.frames.push((deflation, frame.clone(), compressed));
        Ok((frame, compressed))
    }
}

/// The connection of what an application has: of a handler, of a client's connection, or itself.
/// None if there is none any more.
fn connection_of<'py>(
    item: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, WebSocketConnection>>> {
    let py = item.py();
    let mut found = item.clone();
    for name in [intern!(py, "ws_connection"), intern!(py, "protocol")] {
        if let Ok(connection) = found.cast::<WebSocketConnection>() {
            return Ok(Some(connection.clone()));
        }
        if let Some(value) = item.getattr_opt(name)? {
            if value.is_none() {
                return Ok(None);
            }
            found = value;
        }
    }
    match found.cast_into::<WebSocketConnection>() {
        Ok(connection) => Ok(Some(connection)),
        Err(_) => Err(PyTypeError::new_err(format!(
            "broadcast sends to WebSocketHandlers, not to {}",
            item.get_type().name()?
        ))),
    }
}

/// Send it on this connection, if that takes it; whether it does.
fn send(slf: Slf<'_, '_>, shared: &mut Shared<'_, '_>) -> PyResult<bool> {
    match WebSocketConnection::admit(slf, true)? {
        Admission::Granted => {}
        Admission::Skipped | Admission::Closed => return Ok(false),
    }
    let (role, deflation) = {
        let this = slf.borrow();
        (this.role, this.core.deflation())
    };
    if role == Role::Client {
        // Each masks with keys of its own (RFC 6455 §5.3).
        WebSocketConnection::send_payload(slf, shared.payload, shared.opcode)?;
        return Ok(true);
    }
    let (frame, compressed) = shared.frame(deflation)?;
    if compressed {
        slf.borrow_mut().core.sent_shared();
    }
    WebSocketConnection::transmit(slf, frame.as_bytes(), Some(&frame))?;
    Ok(true)
}

/// Send a message to each of these connections that is open. How many it was sent to.
#[pyfunction]
pub(super) fn websocket_broadcast(
    connections: &Bound<'_, PyAny>,
    message: &Bound<'_, PyAny>,
    binary: bool,
) -> PyResult<usize> {
    let py = connections.py();
    let (message, opcode) = Message::of(message, binary)?;
    let mut shared = Shared {
        py,
        opcode,
        payload: message.payload()?,
        frames: Vec::new(),
    };
    // All are looked up before anything is sent: what a failing connection calls may change the
    // collection they come from.
    let mut open = Vec::with_capacity(connections.len().unwrap_or(0));
    let here = thread::current().id();
    for item in connections.try_iter()? {
        let Some(connection) = connection_of(&item?)? else {
            continue;
        };
        if connection.borrow().thread != here {
            return Err(PyRuntimeError::new_err(
                "broadcast works in the thread of the connections' event loop: from another one, \
                 call loop.call_soon_threadsafe(broadcast, connections, message)",
            ));
        }
        open.push(connection);
    }
    let mut count = 0;
    for connection in &open {
        match send(connection, &mut shared) {
            Ok(sent) => count += usize::from(sent),
            Err(error) if is_for_the_loop(py, &error) => return Err(error),
            Err(error) => {
                // It is this connection's alone.
                let arguments = (exception(py, &error)?,);
                connection.call_method1(intern!(py, "_sending_failed"), arguments)?;
            }
        }
    }
    Ok(count)
}
