//! Between bytes on the wire and Python strings.

use std::borrow::Cow;

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::buffers;

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

/// Bytes as a str, which are UTF-8 once they are unmasked.
///
/// Text is ASCII, mostly; then it is unmasked where it stays.
#[allow(unsafe_code)]
pub fn unmasked<'py>(
    py: Python<'py>,
    masked: &[u8],
    unmask: impl Fn(&mut [u8]),
) -> PyResult<Bound<'py, PyString>> {
    let length = masked.len();
    if length == 0 {
        return Ok(PyString::new(py, ""));
    }
    // SAFETY: a new str of ASCII characters, whose length is checked by `try_from`, has its
    // characters right behind its `PyASCIIObject`, and nobody else has seen it yet. They are set
    // before they are read. If they turn out not to be ASCII, nobody ever sees it.
    unsafe {
        let object = ffi::PyUnicode_New(isize::try_from(length)?, 127);
        let text = Bound::from_owned_ptr_or_err(py, object)?;
        let place = object.cast::<ffi::PyASCIIObject>().add(1).cast::<u8>();
        place.copy_from_nonoverlapping(masked.as_ptr(), length);
        let place = std::slice::from_raw_parts_mut(place, length);
        unmask(place);
        if place.is_ascii() {
            return Ok(text.cast_into_unchecked());
        }
    }
    let mut buffer = buffers::take(length);
    buffer.extend_from_slice(masked);
    unmask(&mut buffer);
    let text = PyString::from_bytes(py, &buffer);
    buffers::put(buffer);
    text
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
