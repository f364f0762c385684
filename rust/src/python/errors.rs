//! Exceptions on their way back to Python code.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

/// The exception with its traceback, which it does not carry itself while it is in Rust.
pub fn exception<'py>(py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyBaseException>> {
    let value = error.value(py).clone();
    if let Some(traceback) = error.traceback(py) {
        value.setattr("__traceback__", traceback)?;
    }
    Ok(value)
}
