//! What applications send: a str or bytes, as payload.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::websocket::Opcode;

/// A message as its sender gave it, without a copy where that is possible.
pub(super) enum Message<'py> {
    Text(Bound<'py, PyString>),
    Bytes(Bound<'py, PyBytes>),
}

impl<'py> Message<'py> {
    /// The message, and what it is sent as.
    ///
    /// # Errors
    /// It is something else, or not UTF-8 though it is to be a text.
    pub fn of(message: &Bound<'py, PyAny>, binary: bool) -> PyResult<(Self, Opcode)> {
        let opcode = if binary { Opcode::Binary } else { Opcode::Text };
        if let Ok(text) = message.cast::<PyString>() {
            return Ok((Self::Text(text.clone()), opcode));
        }
        let data = if let Ok(data) = message.cast::<PyBytes>() {
            data.clone()
        } else if let Ok(buffer) = PyBuffer::<u8>::get(message) {
            PyBytes::new(message.py(), &buffer.to_vec(message.py())?)
        } else {
            return Err(PyTypeError::new_err(format!(
                "a message is a str, bytes or a dict, not {}",
                message.get_type().name()?
            )));
        };
        if !binary && simdutf8::basic::from_utf8(data.as_bytes()).is_err() {
            return Err(PyValueError::new_err(
                "the message is not UTF-8; pass binary=True to send bytes",
            ));
        }
        Ok((Self::Bytes(data), opcode))
    }

    pub fn payload(&self) -> PyResult<&[u8]> {
        match self {
            Self::Text(text) => text.to_str().map(str::as_bytes),
            Self::Bytes(data) => Ok(data.as_bytes()),
        }
    }
}
