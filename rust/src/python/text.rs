//! Between bytes on the wire and Python strings.

use std::borrow::Cow;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// ISO 8859-1 bytes as a str, as header values and targets are decoded.
pub fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => PyString::new(
            py,
            &bytes
                .iter()
                .map(|&byte| char::from(byte))
                .collect::<String>(),
        ),
    }
}

/// A str as ISO 8859-1 bytes.
///
/// # Errors
/// `ValueError` for characters that cannot stand in a message head.
pub fn to_latin1<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    let text = text.to_str()?;
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    bytes.map(Cow::Owned).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{text:?} has characters outside ISO 8859-1; percent-encode it (RFC 8187)"
        ))
    })
}
