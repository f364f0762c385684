//! `Runner` and `run_coroutine`: generators as coroutines, for `typhoon.gen.coroutine`.
//!
//! A generator is driven as far as it goes without waiting: what it yields that is done already is
//! sent back at once. Only a generator that has to wait gets a `Runner`, which is then the callback
//! of the future that it waits for.
//!
//! | the generator | then |
//! | --- | --- |
//! | yields a future that is done | its outcome is sent or thrown in |
//! | yields one that is not | the runner waits for it: `add_done_callback` |
//! | yields None or `moment` | the runner waits for the next turn of the loop: `call_soon` |
//! | yields anything else | `convert_yielded` makes a future of it, or the error is thrown in |
//! | returns, or raises `Return` | the result future gets the value |
//! | raises `CancelledError` | the result future is cancelled |
//! | raises | the result future gets the exception |
//!
//! All of it runs in one `contextvars.Context`: a copy of the caller's, made at the call.

mod run;
mod runner;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use self::run::{Input, Run, settle, value_of_return};
use self::runner::Runner;
use super::awaiting::{self, Context, new_future};

/// Whether what a function has returned is to be driven.
fn is_generator(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static GENERATOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if awaiting::is_exact_generator(object) {
        return Ok(true);
    }
    // Common results, for which to ask the abstract class would take longer than all the rest.
    if object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PyTuple>()
        || object.is_exact_instance_of::<PyFloat>()
    {
        return Ok(false);
    }
    object.is_instance(GENERATOR.import(object.py(), "collections.abc", "Generator")?)
}

/// Call a function that may be a generator function, and return the future of its result.
#[pyfunction]
fn run_coroutine<'py>(
    func: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = func.py();
    let result = new_future(py)?;
    let created = result.getattr(intern!(py, "_source_traceback"))?;
    if let Ok(created) = created.cast::<PyList>() {
        // In debug mode, say where the coroutine was called: that is outside of the decorator.
        created.del_item(created.len().saturating_sub(1))?;
    }
    let context = Context::copy_of_current(py)?;
    context.enter(py, || {
        let kwargs = (!kwargs.is_empty()).then_some(kwargs);
        let returned = match func.call(args, kwargs) {
            Ok(returned) => returned,
            Err(error) => return settle(&result, value_of_return(py, error)),
        };
        if !is_generator(&returned)? {
            return settle(&result, Ok(returned));
        }
        let run = Run::of(&returned, &result, &context, None);
        run.drive(Input::Value(py.None().into_bound(py)))
    })?;
    Ok(result)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run_coroutine, module)?)?;
    module.add_class::<Runner>()
}
