//! What CPython's interface offers for waiting, and PyO3 does not: contexts, and sending a value
//! into a generator, or asking a future for its outcome, without the exceptions in between.
#![allow(unsafe_code)]

use std::ptr;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

/// What a generator has come to.
pub enum Step<'py> {
    Yielded(Bound<'py, PyAny>),
    Returned(Bound<'py, PyAny>),
    Raised(PyErr),
}

/// What `poll` has found.
pub enum Polled<'py> {
    Done(Bound<'py, PyAny>),
    Failed(PyErr),
    /// And the future's `_asyncio_future_blocking` has been set.
    Pending,
}

/// `generator.send(value)`.
pub fn send<'py>(generator: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Step<'py> {
    let py = generator.py();
    let mut result = ptr::null_mut();
    // SAFETY: both objects are alive, and we are attached to the interpreter. `result` becomes a
    // new reference unless there is an error, which is then set.
    unsafe {
        match ffi::PyIter_Send(generator.as_ptr(), value.as_ptr(), &raw mut result) {
            ffi::PySendResult::PYGEN_NEXT => Step::Yielded(Bound::from_owned_ptr(py, result)),
            ffi::PySendResult::PYGEN_RETURN => Step::Returned(Bound::from_owned_ptr(py, result)),
            ffi::PySendResult::PYGEN_ERROR => Step::Raised(PyErr::fetch(py)),
        }
    }
}

/// The outcome of an `asyncio.Future`: what the first step of ``await future`` says.
pub fn poll<'py>(future: &Bound<'py, PyAny>) -> Polled<'py> {
    let py = future.py();
    let iterator = match future.try_iter() {
        Ok(iterator) => iterator,
        Err(error) => return Polled::Failed(error),
    };
    match send(&iterator, &py.None().into_bound(py)) {
        Step::Yielded(_) => Polled::Pending,
        Step::Returned(value) => Polled::Done(value),
        Step::Raised(error) => Polled::Failed(error),
    }
}

/// Whether this is a generator as functions make them, not another class with the same methods.
pub fn is_exact_generator(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive; only its type is looked at.
    unsafe { ffi::PyGen_CheckExact(object.as_ptr()) != 0 }
}

/// A `contextvars.Context`.
pub struct Context(Py<PyAny>);

impl Context {
    /// A copy of the one that is current. This takes the same time however much is in it.
    pub fn copy_of_current(py: Python<'_>) -> PyResult<Self> {
        // SAFETY: we are attached; the result is a new reference, or NULL with an error set.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
            .map(|context| Self(context.unbind()))
    }

    /// The context whose method `run` this is.
    pub fn of_run_method(run: &Bound<'_, PyAny>) -> Option<Self> {
        let context = run.getattr(intern!(run.py(), "__self__")).ok()?;
        // SAFETY: the object is alive; only its type is looked at.
        (unsafe { ffi::PyContext_CheckExact(context.as_ptr()) } != 0)
            .then(|| Self(context.unbind()))
    }

    pub fn object(&self) -> &Py<PyAny> {
        &self.0
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// `context.run(function)`.
    pub fn enter<T>(&self, py: Python<'_>, function: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        // SAFETY: `self.0` is a Context, as both constructors see to, and we are attached.
        if unsafe { ffi::PyContext_Enter(self.0.as_ptr()) } != 0 {
            return Err(PyErr::fetch(py));
        }
        let leave = Leave(self);
        let result = function();
        drop(leave);
        result
    }

    /// `object.method(callback, context=self)`.
    pub fn call_method_later<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        method: &Bound<'py, PyString>,
        callback: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        static KEYWORDS: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
        let py = object.py();
        let keywords = KEYWORDS
            .get_or_try_init(py, || Ok::<_, PyErr>(PyTuple::new(py, ["context"])?.unbind()))?;
        let args = [object.as_ptr(), callback.as_ptr(), self.0.as_ptr()];
        // SAFETY: two positional arguments, of which the first is the object of the method, and one
        // for the one keyword; all of them are alive. The result is new, or NULL with an error set.
        unsafe {
            Bound::from_owned_ptr_or_err(
                py,
                ffi::PyObject_VectorcallMethod(
                    method.as_ptr(),
                    args.as_ptr(),
                    2,
                    keywords.as_ptr(),
                ),
            )
        }
        .map(drop)
    }
}

/// Leaves a context when it goes, also when a panic passes.
struct Leave<'a>(&'a Context);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        // SAFETY: `enter` has entered this context; leaving it keeps an error that is set.
        unsafe { ffi::PyContext_Exit(self.0.0.as_ptr()) };
    }
}
