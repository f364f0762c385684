//! Escapes of HTML text and of URLs, for Python.

use std::borrow::Cow;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::escape;

/// Escape `&`, `<`, `>`, `"` and `'` so that the text can stand in HTML or XML, also between
/// quotes.
///
/// Bytes are decoded as UTF-8. The result is always a str: the argument itself if there is
/// nothing to escape in it. Does the same as `html.escape` for a str.
#[pyfunction]
#[pyo3(text_signature = "(value)")]
fn xhtml_escape<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if let Ok(bytes) = value.cast::<PyBytes>() {
        let escaped = escape::xhtml_escape(bytes.as_bytes());
        let escaped = PyBytes::new(py, &escaped);
        return Ok(PyString::from_encoded_object(&escaped, None, None)?.into_any());
    }
    let text = value.cast::<PyString>().map_err(|_| not_text(value))?;
    let Ok(utf8) = text.to_str() else {
        // Lone surrogates have no UTF-8; nothing that is escaped is made of their bytes.
        let pass = intern!(py, "surrogatepass");
        let bytes = text.call_method1(intern!(py, "encode"), (intern!(py, "utf-8"), pass))?;
        let escaped = escape::xhtml_escape(bytes.extract()?).into_owned();
        let escaped = PyBytes::new(py, &escaped);
        return escaped.call_method1(intern!(py, "decode"), (intern!(py, "utf-8"), pass));
    };
    match escape::xhtml_escape(utf8.as_bytes()) {
        Cow::Borrowed(_) if text.is_exact_instance_of::<PyString>() => Ok(value.clone()),
        escaped => Ok(PyString::from_bytes(py, &escaped)?.into_any()),
    }
}

/// Decode `%XX`, and `+` as a space if `plus` is true. A str is encoded as UTF-8 first.
#[pyfunction]
#[pyo3(signature = (value, plus))]
fn unquote_to_bytes<'py>(value: &Bound<'py, PyAny>, plus: bool) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    if let Ok(text) = value.cast::<PyString>() {
        let decoded = escape::url_unescape(text.to_str()?.as_bytes(), plus);
        return Ok(PyBytes::new(py, &decoded));
    }
    let bytes = value.cast::<PyBytes>().map_err(|_| not_text(value))?;
    match escape::url_unescape(bytes.as_bytes(), plus) {
        Cow::Borrowed(_) => Ok(bytes.clone()),
        Cow::Owned(decoded) => Ok(PyBytes::new(py, &decoded)),
    }
}

fn not_text(value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("Expected bytes or str; got {}", value.get_type()))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(xhtml_escape, module)?)?;
    module.add_function(wrap_pyfunction!(unquote_to_bytes, module)?)
}
