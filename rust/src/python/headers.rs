//! `HTTPHeaders`: [`Headers`] as a Python `MutableMapping`.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::create_exception;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple, PyType};

use super::text::{latin1, to_latin1};
use crate::headers::{Headers, InvalidField, normalise_into};

create_exception!(
    typhoon.httputil,
    HTTPInputError,
    PyValueError,
    "A message from the network, or a part of one, is malformed."
);

impl From<InvalidField> for PyErr {
    fn from(error: InvalidField) -> Self {
        HTTPInputError::new_err(error.to_string())
    }
}

/// Header fields: an ordered mapping with case-insensitive names and many values per name
/// (RFC 9110 §5). Reading an item joins the values of its name with commas.
///
///     >>> headers = HTTPHeaders({"content-type": "text/html"})
///     >>> headers.add("Set-Cookie", "A=B")
///     >>> headers.add("Set-Cookie", "C=D")
///     >>> headers["set-cookie"]
///     'A=B,C=D'
///     >>> headers.get_list("Set-Cookie")
///     ['A=B', 'C=D']
#[pyclass(name = "HTTPHeaders", module = "typhoon.httputil", mapping, subclass)]
#[derive(Default)]
pub struct PyHeaders {
    pub inner: Headers,
}

fn normal<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyString> {
    let mut text = Vec::with_capacity(name.len());
    normalise_into(&mut text, name);
    latin1(py, &text)
}

/// A value as it goes over the wire: text in ISO 8859-1, bytes as they are.
fn value_bytes<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = value.cast::<PyString>() {
        return to_latin1(text);
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the value of a header is a str or bytes, not {}",
            value.get_type().name()?
        ))),
    }
}

impl PyHeaders {
    fn joined<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        let Ok(name) = name.cast::<PyString>() else {
            return Ok(None);
        };
        let name = to_latin1(name)?;
        let mut values = self.inner.get_all(&name);
        let Some(first) = values.next() else {
            return Ok(None);
        };
        let Some(second) = values.next() else {
            return Ok(Some(latin1(py, first)));
        };
        let mut joined = [first, second].join(&b","[..]);
        for value in values {
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        Ok(Some(latin1(py, &joined)))
    }

    fn extend(slf: &Bound<'_, Self>, source: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(other) = source.cast::<Self>() {
            let other = other.borrow().inner.clone();
            let mut this = slf.borrow_mut();
            if this.inner.is_empty() {
                this.inner = other;
                return Ok(());
            }
            for name in other.names() {
                this.inner.remove(name);
            }
            for (name, value) in other.iter() {
                this.inner.add_checked(name, value);
            }
            return Ok(());
        }
        let pairs = if source.hasattr("keys")? {
            source.call_method0("items")?
        } else {
            source.clone()
        };
        for pair in pairs.try_iter()? {
            let (name, value): (Bound<'_, PyString>, Bound<'_, PyAny>) = pair?.extract()?;
            let Ok(values) = value.cast::<PyList>() else {
                slf.borrow_mut().__setitem__(&name, &value)?;
                continue;
            };
            slf.borrow_mut().inner.remove(&to_latin1(&name)?);
            for value in values {
                slf.borrow_mut().add(&name, &value, true)?;
            }
        }
        Ok(())
    }

    fn keys_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(
            py,
            self.inner
                .names()
                .map(|name| normal(py, name))
                .collect::<Vec<_>>(),
        )
    }
}

#[pymethods]
impl PyHeaders {
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, kwargs);
        Self::default()
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __init__(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        Self::update(slf, args, kwargs)
    }

    /// Add a value for the name, behind those that it has. A value that is bytes goes over the
    /// wire as it is.
    ///
    /// Characters are always bytes, as ISO 8859-1 has them: `_chars_are_bytes` changes nothing.
    #[pyo3(signature = (name, value, *, _chars_are_bytes=true))]
    fn add(
        &mut self,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        _chars_are_bytes: bool,
    ) -> PyResult<()> {
        Ok(self.inner.add(&to_latin1(name)?, &value_bytes(value)?)?)
    }

    /// The values of the name as a list, empty if there is none.
    fn get_list<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'_, PyString>,
    ) -> PyResult<Bound<'py, PyList>> {
        let name = to_latin1(name)?;
        PyList::new(
            py,
            self.inner
                .get_all(&name)
                .map(|value| latin1(py, value))
                .collect::<Vec<_>>(),
        )
    }

    /// All (name, value) pairs; a name with several values comes several times.
    fn get_all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let pairs = self
            .inner
            .iter()
            .map(|(name, value)| (normal(py, name), latin1(py, value)));
        PyList::new(py, pairs.collect::<Vec<_>>())?.try_iter()
    }

    /// Add one line of a head, with or without its line end. See `add` for `_chars_are_bytes`.
    ///
    /// Raises `HTTPInputError` if the line is not a field. One that begins with white space is not:
    /// a line must not continue the one before it (RFC 9112 §5.2).
    #[pyo3(signature = (line, *, _chars_are_bytes=true))]
    fn parse_line(&mut self, line: &Bound<'_, PyString>, _chars_are_bytes: bool) -> PyResult<()> {
        let text = to_latin1(line).map_err(|error| HTTPInputError::new_err(error.to_string()))?;
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            return Ok(());
        }
        if matches!(text[0], b' ' | b'\t') {
            return Err(HTTPInputError::new_err(
                "a header line cannot start with whitespace",
            ));
        }
        let Some(colon) = memchr::memchr(b':', text) else {
            return Err(HTTPInputError::new_err("no colon in header line"));
        };
        if colon == 0 {
            return Err(HTTPInputError::new_err("empty header name"));
        }
        Ok(self.inner.add(&text[..colon], &text[colon + 1..])?)
    }

    /// The fields in the text of a head. See `add` for `_chars_are_bytes`.
    ///
    /// Raises `HTTPInputError` if a line is not a field.
    #[classmethod]
    #[pyo3(signature = (headers, *, _chars_are_bytes=true))]
    fn parse<'py>(
        cls: &Bound<'py, PyType>,
        headers: &Bound<'py, PyString>,
        _chars_are_bytes: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let parsed = cls.call0()?;
        for line in headers.to_str()?.split('\n') {
            parsed
                .cast::<Self>()?
                .borrow_mut()
                .parse_line(&PyString::new(cls.py(), line), true)?;
        }
        Ok(parsed)
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        self.joined(py, name)?
            .ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
    }

    fn __setitem__(
        &mut self,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Ok(self.inner.set(&to_latin1(name)?, &value_bytes(value)?)?)
    }

    fn __delitem__(&mut self, name: &Bound<'_, PyString>) -> PyResult<()> {
        if self.inner.remove(&to_latin1(name)?) {
            Ok(())
        } else {
            Err(PyKeyError::new_err(name.clone().unbind()))
        }
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(name) = name.cast::<PyString>() else {
            return Ok(false);
        };
        Ok(to_latin1(name).is_ok_and(|name| self.inner.contains(&name)))
    }

    fn __len__(&self) -> usize {
        self.inner.names().count()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys_list(py)?.try_iter()
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(other) = other.cast::<Self>() {
            return Ok(slf.is(other) || slf.borrow().inner == other.borrow().inner);
        }
        let items = PyDict::new(slf.py());
        for pair in Self::items(slf)?.try_iter()? {
            let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            items.set_item(name, value)?;
        }
        items.eq(other)
    }

    fn __str__<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let mut text = Vec::new();
        for (name, value) in self.inner.iter() {
            normalise_into(&mut text, name);
            text.extend_from_slice(b": ");
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        latin1(py, &text)
    }

    /// The same as `str()` gives, under its name in Python 2.
    fn __unicode__<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.__str__(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let pairs = PyList::empty(slf.py());
        for pair in slf.borrow().get_all(slf.py())? {
            pairs.append(pair?)?;
        }
        Ok(format!("HTTPHeaders({})", pairs.repr()?))
    }

    /// A copy with the same fields.
    fn copy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if slf.is_exact_instance_of::<Self>() {
            let inner = slf.borrow().inner.clone();
            return Ok(Bound::new(slf.py(), Self { inner })?.into_any());
        }
        let copy = slf.get_type().call0()?;
        copy.cast::<Self>()?.borrow_mut().inner = slf.borrow().inner.clone();
        Ok(copy)
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::copy(slf)
    }

    fn __deepcopy__<'py>(
        slf: &Bound<'py, Self>,
        _memo: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::copy(slf)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let state = Self::__str__(&slf.borrow(), py);
        (slf.get_type(), PyTuple::empty(py), state).into_pyobject(py)
    }

    fn __setstate__(&mut self, state: &Bound<'_, PyString>) -> PyResult<()> {
        for line in state.to_str()?.split('\n') {
            self.parse_line(&PyString::new(state.py(), line), true)?;
        }
        Ok(())
    }

    /// The value of the name, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'_, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.joined(py, name)?.map(Bound::into_any).or(default))
    }

    /// The names, each once.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.keys_list(py)
    }

    /// The values, those of one name joined.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let (py, this) = (slf.py(), slf.borrow());
        let values = this
            .keys_list(py)?
            .iter()
            .map(|name| this.__getitem__(py, &name));
        PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)
    }

    /// The (name, value) pairs, the values of one name joined.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let (py, this) = (slf.py(), slf.borrow());
        let names = this.keys_list(py)?;
        let pairs = names
            .iter()
            .map(|name| Ok((name.clone(), this.__getitem__(py, &name)?)));
        PyList::new(py, pairs.collect::<PyResult<Vec<_>>>()?)
    }

    /// Set the items of a mapping, of pairs, and of keywords.
    #[pyo3(signature = (*args, **kwargs))]
    fn update(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        for source in args {
            if !source.is_none() {
                Self::extend(slf, &source)?;
            }
        }
        match kwargs {
            Some(fields) => Self::extend(slf, fields),
            None => Ok(()),
        }
    }

    /// Remove the name and return its value, or `default`; `KeyError` without either.
    #[pyo3(signature = (name, *default))]
    fn pop<'py>(
        &mut self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.joined(py, name)? {
            Some(value) => {
                self.inner.remove(&to_latin1(name)?);
                Ok(value.into_any())
            }
            None => default
                .get_item(0)
                .map_err(|_| PyKeyError::new_err(name.clone().unbind())),
        }
    }

    /// Remove a name and return it with its value; `KeyError` if there is none.
    fn popitem<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyAny>)> {
        let Some(name) = self.inner.names().next().map(|name| normal(py, name)) else {
            return Err(PyKeyError::new_err("popitem(): no headers"));
        };
        let value = self.pop(py, &name, &PyTuple::empty(py))?;
        Ok((name, value))
    }

    /// Remove everything.
    fn clear(&mut self) {
        self.inner = Headers::new();
    }

    /// The value of the name, set to `default` if it has none.
    fn setdefault<'py>(
        &mut self,
        name: &Bound<'py, PyString>,
        default: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        if let Some(value) = self.joined(name.py(), name)? {
            return Ok(value);
        }
        self.__setitem__(name, default)?;
        match default.cast::<PyString>() {
            Ok(text) => Ok(text.clone()),
            Err(_) => self.__getitem__(name.py(), name),
        }
    }
}

/// The headers that every response begins with, the Date among them (RFC 9110 §6.6.1).
pub struct DefaultHeaders {
    template: Headers,
    second: u64,
}

static DEFAULT_HEADERS: Mutex<DefaultHeaders> = Mutex::new(DefaultHeaders {
    template: Headers::new(),
    second: 0,
});

impl DefaultHeaders {
    /// New headers for a response.
    pub fn of_responses(py: Python<'_>) -> PyResult<Py<PyHeaders>> {
        let now = SystemTime::now();
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs());
        let inner = {
            let mut defaults = DEFAULT_HEADERS
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if second != defaults.second {
                defaults.second = second;
                let date = httpdate::fmt_http_date(now);
                defaults.template.set_checked(b"Date", date.as_bytes());
            }
            defaults.template.clone_with_room()
        };
        Py::new(py, PyHeaders { inner })
    }
}

/// Set the headers that every response begins with, as (name, value) pairs.
#[pyfunction]
fn set_default_headers(fields: Vec<(Bound<'_, PyString>, Bound<'_, PyString>)>) -> PyResult<()> {
    let mut template = Headers::new();
    for (name, value) in &fields {
        template.set(&to_latin1(name)?, &to_latin1(value)?)?;
    }
    let mut defaults = DEFAULT_HEADERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *defaults = DefaultHeaders {
        template,
        second: 0,
    };
    Ok(())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("HTTPInputError", module.py().get_type::<HTTPInputError>())?;
    module.add_function(wrap_pyfunction!(set_default_headers, module)?)?;
    module.add_class::<PyHeaders>()
}
