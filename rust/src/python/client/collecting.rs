//! A body that is collected: received right into the bytes object that it becomes.
#![allow(unsafe_code)]

use std::os::raw::c_int;
use std::ptr;

use pyo3::exceptions::PyOverflowError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

unsafe extern "C" {
    /// As CPython's documentation has it; PyO3 does not declare it.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> c_int;
}

/// What is reserved for a body on the word of its Content-Length alone.
const RESERVE: u64 = 1024 * 1024;

/// The content so far. Memory is bounded by the decoder's limit for bodies; adding is amortised
/// O(1), since the object at least doubles when it grows.
#[derive(Default)]
pub struct Collector {
    /// Nobody else has this object. Its first `length` bytes are content, the others are unset.
    object: Option<Py<PyBytes>>,
    length: usize,
}

impl Collector {
    /// Add content, behind which so many bytes are announced.
    pub fn add(&mut self, py: Python<'_>, data: &[u8], announced: u64) -> PyResult<()> {
        let needed = self.length + data.len();
        let capacity = self.capacity(py);
        if needed > capacity {
            let announced = announced.min(RESERVE.max(self.length as u64)) as usize;
            let grown = if capacity == 0 { 0 } else { capacity * 2 };
            self.resize(py, (needed + announced).max(grown))?;
        }
        let Some(object) = &self.object else {
            return Ok(());
        };
        // SAFETY: the object is ours alone, and has room for `needed` bytes; `data` lies elsewhere.
        unsafe {
            let start = ffi::PyBytes_AsString(object.as_ptr()).cast::<u8>();
            ptr::copy_nonoverlapping(data.as_ptr(), start.add(self.length), data.len());
        }
        self.length = needed;
        Ok(())
    }

    /// All of it.
    pub fn finish(mut self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        if self.length < self.capacity(py) {
            self.resize(py, self.length)?;
        }
        Ok(self
            .object
            .take()
            .unwrap_or_else(|| PyBytes::new(py, b"").unbind()))
    }

    fn capacity(&self, py: Python<'_>) -> usize {
        self.object
            .as_ref()
            .map_or(0, |object| object.bind(py).len().unwrap_or(0))
    }

    fn resize(&mut self, py: Python<'_>, size: usize) -> PyResult<()> {
        let size = ffi::Py_ssize_t::try_from(size)
            .map_err(|_| PyOverflowError::new_err("the body is too large for this machine"))?;
        // SAFETY: we are attached. A new object is ours alone, and so may be resized; both
        // functions give a reference, or NULL with an error set, and the second takes ours.
        self.object = Some(unsafe {
            let mut object = match self.object.take() {
                None => ffi::PyBytes_FromStringAndSize(ptr::null(), size),
                Some(object) => object.into_ptr(),
            };
            if !object.is_null() && ffi::PyBytes_Size(object) != size {
                _PyBytes_Resize(&raw mut object, size);
            }
            Bound::from_owned_ptr_or_err(py, object)?
                .cast_into_unchecked()
                .unbind()
        });
        Ok(())
    }
}
