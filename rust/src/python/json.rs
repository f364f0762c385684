//! JSON, byte for byte as the standard library's `json.dumps` writes it.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Containers within containers, above which the standard library decides what to do.
const MAX_DEPTH: usize = 64;

/// Append `value` as JSON. False for what only the standard library's encoder knows about:
/// subclasses, other keys than strings, numbers beyond 64 bits, deep nesting.
///
/// `</` is written as `<\/`, so that the text can stand in a script element.
pub fn write(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<bool> {
    if depth > MAX_DEPTH {
        return Ok(false);
    }
    if value.is_exact_instance_of::<PyString>() {
        return Ok(write_string(out, value.cast::<PyString>()?));
    }
    if value.is_none() {
        out.extend_from_slice(b"null");
    } else if value.is_exact_instance_of::<PyBool>() {
        out.extend_from_slice(if value.is_truthy()? {
            b"true"
        } else {
            b"false"
        });
    } else if value.is_exact_instance_of::<PyInt>() {
        let Ok(number) = value.extract::<i64>() else {
            return Ok(false);
        };
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    } else if value.is_exact_instance_of::<PyFloat>() {
        if !value.extract::<f64>()?.is_finite() {
            return Ok(false);
        }
        out.extend_from_slice(value.repr()?.to_str()?.as_bytes());
    } else if value.is_exact_instance_of::<PyDict>() {
        out.push(b'{');
        for (number, (key, item)) in value.cast::<PyDict>()?.iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(b", ");
            }
            if !key.is_exact_instance_of::<PyString>() || !write_string(out, key.cast()?) {
                return Ok(false);
            }
            out.extend_from_slice(b": ");
            if !write(out, &item, depth + 1)? {
                return Ok(false);
            }
        }
        out.push(b'}');
    } else if value.is_exact_instance_of::<PyList>() {
        return write_items(out, value.cast::<PyList>()?.iter(), depth);
    } else if value.is_exact_instance_of::<PyTuple>() {
        return write_items(out, value.cast::<PyTuple>()?.iter(), depth);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn write_items<'py>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
) -> PyResult<bool> {
    out.push(b'[');
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.extend_from_slice(b", ");
        }
        if !write(out, &item, depth + 1)? {
            return Ok(false);
        }
    }
    out.push(b']');
    Ok(true)
}

/// False for lone surrogates, which have no UTF-8.
fn write_string(out: &mut Vec<u8>, text: &Bound<'_, PyString>) -> bool {
    let Ok(text) = text.to_str() else {
        return false;
    };
    out.push(b'"');
    let bytes = text.as_bytes();
    let plain = |byte: u8| (b' '..0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\' | b'/');
    if bytes.iter().all(|&byte| plain(byte)) {
        out.extend_from_slice(bytes);
    } else {
        let mut before = '\0';
        for character in text.chars() {
            write_character(out, character, before);
            before = character;
        }
    }
    out.push(b'"');
    true
}

fn write_character(out: &mut Vec<u8>, character: char, before: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\x08' => out.extend_from_slice(b"\\b"),
        '\x0c' => out.extend_from_slice(b"\\f"),
        '/' if before == '<' => out.extend_from_slice(b"\\/"),
        ' '..='~' => out.push(character as u8),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(b"0123456789abcdef"[usize::from((*unit >> shift) & 15)]);
                }
            }
        }
    }
}

/// The value as JSON, or None if it takes the standard library's encoder.
#[pyfunction]
fn json_encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyString>>> {
    let mut out = Vec::new();
    if !write(&mut out, value, 0)? {
        return Ok(None);
    }
    Ok(std::str::from_utf8(&out)
        .ok()
        .map(|text| PyString::new(value.py(), text)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(json_encode, module)?)
}
