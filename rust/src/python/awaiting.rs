//! What CPython's interface offers for waiting, and PyO3 does not: contexts, and sending a value
//! into a generator, or asking a future for its outcome, without the exceptions in between.
#![allow(unsafe_code)]

use std::ptr;

use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

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

/// `asyncio.Future`.
pub fn future_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static FUTURE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    FUTURE.import(py, "asyncio", "Future")
}

/// A future of the current loop.
pub fn new_future(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_type(py)?.call0()
}

/// `asyncio._get_running_loop()`: the loop that runs in this thread, or None.
pub fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    RUNNING.import(py, "asyncio", "_get_running_loop")?.call0()
}

/// A future whose result is None, kept to be returned again. To make a future takes most of the
/// time of a call that does not wait; and most of these futures are awaited and forgotten.
#[derive(Default)]
pub struct DoneFuture(Option<(Py<PyAny>, Py<PyAny>)>);

impl DoneFuture {
    /// Keep this future, which is done, unless it belongs to no running loop.
    pub fn new(future: &Bound<'_, PyAny>, event_loop: Bound<'_, PyAny>) -> Self {
        Self((!event_loop.is_none()).then(|| (future.clone().unbind(), event_loop.unbind())))
    }

    /// The future, if it is this loop's, and nobody else has kept it.
    pub fn again<'py>(&self, event_loop: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let py = event_loop.py();
        match &self.0 {
            // SAFETY: the object is alive, and we are attached to the interpreter.
            Some((future, owner))
                if owner.is(event_loop) && unsafe { ffi::Py_REFCNT(future.as_ptr()) } == 1 =>
            {
                Some(future.bind(py).clone())
            }
            _ => None,
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some((future, event_loop)) = &self.0 {
            visit.call(future)?;
            visit.call(event_loop)?;
        }
        Ok(())
    }
}

/// A method of `asyncio.Future`: found once, not at each call.
fn method<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    cell.get_or_try_init(py, || Ok(future_type(py)?.getattr(name)?.unbind()))
        .map(|method| method.bind(py))
}

/// `future.done()`, of an `asyncio.Future`.
pub fn is_done(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    static DONE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    method(future.py(), &DONE, "done")?
        .call1((future,))?
        .is_truthy()
}

/// `future.set_result(value)`, of an `asyncio.Future`.
pub fn set_result(future: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    static SET_RESULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    method(future.py(), &SET_RESULT, "set_result")?
        .call1((future, value))
        .map(drop)
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
        let keywords = KEYWORDS.get_or_try_init(py, || {
            Ok::<_, PyErr>(PyTuple::new(py, ["context"])?.unbind())
        })?;
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
