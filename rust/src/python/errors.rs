//! Exceptions on their way back to Python code.

use pyo3::create_exception;
use pyo3::exceptions::{PyBaseException, PyException, PyValueError};
use pyo3::prelude::*;

use crate::http1::EncodeError;

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

/// The exception with its traceback, which it does not carry itself while it is in Rust.
pub fn exception<'py>(py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyBaseException>> {
    let value = error.value(py).clone();
    if let Some(traceback) = error.traceback(py) {
        value.setattr("__traceback__", traceback)?;
    }
    Ok(value)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("HTTPOutputError", module.py().get_type::<HTTPOutputError>())
}
