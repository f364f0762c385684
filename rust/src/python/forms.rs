//! Bodies of HTML forms, for Python.

use std::borrow::Cow;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::request::Request;
use super::text::{latin1, to_latin1};
use crate::forms::{multipart, urlencoded};

impl From<urlencoded::Error> for PyErr {
    fn from(error: urlencoded::Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

impl From<multipart::Error> for PyErr {
    fn from(error: multipart::Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// Parse a query string or an `application/x-www-form-urlencoded` body.
#[pyfunction]
#[pyo3(signature = (data, max_fields, keep_blank_values=true, strict_parsing=false))]
fn parse_urlencoded<'py>(
    data: &Bound<'py, PyAny>,
    max_fields: Option<usize>,
    keep_blank_values: bool,
    strict_parsing: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let py = data.py();
    let bytes: Cow<'_, [u8]> = match data.cast::<PyString>() {
        Ok(text) => to_latin1(text)?,
        Err(_) => data.extract()?,
    };
    let options = urlencoded::Options {
        max_fields: max_fields.unwrap_or(usize::MAX),
        keep_blank_values,
        strict: strict_parsing,
    };
    let fields = PyDict::new(py);
    for field in urlencoded::parse(&bytes, options)? {
        let (name, value) = field?;
        let (name, value) = (latin1(py, &name), PyBytes::new(py, &value));
        match fields.get_item(&name)? {
            Some(values) => values.cast_into::<PyList>()?.append(value)?,
            None => fields.set_item(name, PyList::new(py, [value])?)?,
        }
    }
    Ok(fields)
}

/// A part's name, file name, content type and body.
type Part<'py> = (
    Bound<'py, PyString>,
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    Bound<'py, PyBytes>,
);

/// Parse a `multipart/form-data` body: bytes, or the request that has it.
#[pyfunction]
#[pyo3(signature = (boundary, data, max_parts, max_part_header_size))]
fn parse_multipart<'py>(
    py: Python<'py>,
    boundary: &[u8],
    data: &Bound<'py, PyAny>,
    max_parts: usize,
    max_part_header_size: usize,
) -> PyResult<Vec<Part<'py>>> {
    let limits = multipart::Limits {
        max_parts,
        max_part_header_size,
    };
    // A request's body is read where it lies: a large upload is not copied once more.
    let request = data.cast::<Request>().map(|request| request.borrow());
    let data = match &request {
        Ok(request) => Cow::Borrowed(request.body_bytes(py)?),
        Err(_) => data.extract()?,
    };
    let parts = multipart::parse(boundary, &data, limits)?;
    let string = |text: &str| PyString::new(py, text);
    Ok(parts
        .into_iter()
        .map(|part| {
            (
                string(&part.name),
                part.filename.as_deref().map(string),
                part.content_type.map(string),
                PyBytes::new(py, &data[part.body]),
            )
        })
        .collect())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_urlencoded, module)?)?;
    module.add_function(wrap_pyfunction!(parse_multipart, module)?)
}
