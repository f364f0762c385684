//! What a compiled template writes its output with.
//!
//! A straight run of output is one call of `emit` or `raw`, whose arguments are a constant, a value,
//! a constant, a value, and so on. These are functions on the vectorcall protocol, which makes no
//! tuple of the arguments; nothing is made of a str or an int either on its way to the buffer.
#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};

use crate::template::Output;

/// The output of one rendering. Only the functions below have it.
#[pyclass(module = "typhoon._core")]
struct TemplateOutput {
    output: Output,
    /// What escapes values instead of `xhtml_escape`.
    escape: Option<Py<PyAny>>,
}

/// `(emit, raw, finish)` for one rendering.
///
/// `emit(constant, value, constant, value, ...)` appends the constants as they are and the values
/// escaped: a str or bytes (in UTF-8), and anything else as `str()` has it. `raw` takes the same
/// arguments and escapes nothing. `finish()` returns all of it as bytes.
///
/// `expected` is the length of the output if it is known about, in bytes. `escape` is called with
/// each value of `emit`, as bytes, and returns it escaped; None is for `xhtml_escape`.
#[pyfunction]
#[pyo3(signature = (expected, escape, /))]
fn template_output(
    py: Python<'_>,
    expected: usize,
    escape: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyTuple>> {
    let output = TemplateOutput {
        output: Output::new(expected),
        escape,
    };
    let output = Bound::new(py, output)?;
    let functions = [&EMIT, &RAW, &FINISH].map(|definition| bound_method(definition, &output));
    let [emit, raw, finish] = functions;
    PyTuple::new(py, [emit?, raw?, finish?])
}

/// A method definition that nothing writes to.
struct Method(ffi::PyMethodDef);

// SAFETY: a method definition is only read, here and by CPython.
unsafe impl Sync for Method {}

static EMIT: Method = fast_method(c"emit", emit);
static RAW: Method = fast_method(c"raw", raw);
static FINISH: Method = Method(ffi::PyMethodDef {
    ml_name: c"finish".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer {
        PyCFunction: finish,
    },
    ml_flags: ffi::METH_NOARGS,
    ml_doc: std::ptr::null(),
});

const fn fast_method(name: &'static std::ffi::CStr, function: ffi::PyCFunctionFast) -> Method {
    Method(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFast: function,
        },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: std::ptr::null(),
    })
}

fn bound_method<'py>(
    definition: &'static Method,
    output: &Bound<'py, TemplateOutput>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the definition is static, and `output` is of the type that its function expects.
    unsafe {
        Bound::from_owned_ptr_or_err(
            output.py(),
            ffi::PyCFunction_NewEx(
                (&raw const definition.0).cast_mut(),
                output.as_ptr(),
                std::ptr::null_mut(),
            ),
        )
    }
}

unsafe extern "C" fn emit(
    output: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this with the object of `bound_method` and that many arguments.
    unsafe { append(output, arguments, count, TemplateOutput::escaped) }
}

unsafe extern "C" fn raw(
    output: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this with the object of `bound_method` and that many arguments.
    unsafe { append(output, arguments, count, TemplateOutput::value) }
}

unsafe extern "C" fn finish(
    output: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this with the object of `bound_method`, attached to the interpreter.
    unsafe {
        entered(output, |output| {
            let rendered = output.try_borrow_mut()?.output.take();
            Ok(PyBytes::new(output.py(), &rendered).into_any())
        })
    }
}

/// Appends constants and values in turn.
///
/// # Safety
/// `output` is a `TemplateOutput`, and `count` objects start at `arguments`.
#[inline]
unsafe fn append(
    output: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    value: for<'py> fn(&mut TemplateOutput, &Borrowed<'_, 'py, PyAny>) -> PyResult<()>,
) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises; an argument lives as long as the call.
    unsafe {
        entered(output, |output| {
            let py = output.py();
            let mut output = output.try_borrow_mut()?;
            for index in 0..count {
                let argument = Borrowed::from_ptr(py, *arguments.offset(index));
                if index & 1 == 0 {
                    output.constant(&argument)?;
                } else {
                    value(&mut output, &argument)?;
                }
            }
            Ok(py.None().into_bound(py))
        })
    }
}

/// Runs the body of a function that CPython calls: errors and panics become exceptions.
///
/// # Safety
/// The thread is attached to the interpreter, and `output` is a `TemplateOutput`.
#[inline]
unsafe fn entered(
    output: *mut ffi::PyObject,
    body: impl for<'py> FnOnce(&Bound<'py, TemplateOutput>) -> PyResult<Bound<'py, PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises.
    let py = unsafe { Python::assume_attached() };
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as the caller promises; CPython holds the object for the time of the call.
        let output = unsafe { Borrowed::from_ptr(py, output).cast_unchecked::<TemplateOutput>() };
        body(&output)
    }));
    let error = match result {
        Ok(Ok(value)) => return value.into_ptr(),
        Ok(Err(error)) => error,
        Err(_) => PyRuntimeError::new_err("a template's output failed; this is a bug in Typhoon"),
    };
    error.restore(py);
    std::ptr::null_mut()
}

impl TemplateOutput {
    fn constant(&mut self, text: &Borrowed<'_, '_, PyAny>) -> PyResult<()> {
        match text.cast::<PyString>() {
            Ok(text) => self.output.push(text.to_str()?.as_bytes()),
            Err(_) => return Err(PyTypeError::new_err("a template's constants are str")),
        }
        Ok(())
    }

    fn escaped(&mut self, value: &Borrowed<'_, '_, PyAny>) -> PyResult<()> {
        if let Some(escape) = &self.escape {
            let escape = escape.clone_ref(value.py()).into_bound(value.py());
            return self.escaped_by(&escape, value);
        }
        if let Ok(text) = value.cast::<PyString>() {
            self.output.push_escaped(text.to_str()?.as_bytes());
        } else if let Some(number) = integer(value) {
            self.output.push_integer(number);
        } else if let Ok(bytes) = value.cast::<PyBytes>() {
            let text = PyString::from_encoded_object(&bytes, Some(c"utf-8"), None)?;
            self.output.push_escaped(text.to_str()?.as_bytes());
        } else {
            self.output.push_escaped(value.str()?.to_str()?.as_bytes());
        }
        Ok(())
    }

    fn value(&mut self, value: &Borrowed<'_, '_, PyAny>) -> PyResult<()> {
        if let Ok(text) = value.cast::<PyString>() {
            self.output.push(text.to_str()?.as_bytes());
        } else if let Ok(bytes) = value.cast::<PyBytes>() {
            self.output.push(bytes.as_bytes());
        } else if let Some(number) = integer(value) {
            self.output.push_integer(number);
        } else {
            self.output.push(value.str()?.to_str()?.as_bytes());
        }
        Ok(())
    }

    /// Appends what the application's own function makes of the value.
    #[cold]
    fn escaped_by(
        &mut self,
        escape: &Bound<'_, PyAny>,
        value: &Borrowed<'_, '_, PyAny>,
    ) -> PyResult<()> {
        let py = value.py();
        let escaped = if value.is_instance_of::<PyBytes>() {
            escape.call1((value,))?
        } else if let Ok(text) = value.cast::<PyString>() {
            escape.call1((PyBytes::new(py, text.to_str()?.as_bytes()),))?
        } else {
            escape.call1((PyBytes::new(py, value.str()?.to_str()?.as_bytes()),))?
        };
        if !escaped.is_instance_of::<PyString>() && !escaped.is_instance_of::<PyBytes>() {
            return Err(PyTypeError::new_err(format!(
                "Expected bytes or str from the function that escapes; got {}",
                escaped.get_type()
            )));
        }
        self.value(&escaped.as_borrowed())
    }
}

/// The number, if it is an int itself (a bool is none) that has 64 bits.
#[inline]
fn integer(value: &Borrowed<'_, '_, PyAny>) -> Option<i64> {
    if value.is_exact_instance_of::<PyInt>() {
        let mut overflow = 0;
        // SAFETY: it is an int, so that there is no error but the overflow.
        let number =
            unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
        return (overflow == 0).then_some(number);
    }
    None
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(template_output, module)?)
}
