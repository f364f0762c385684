//! A coroutine under way: what goes into its generator, and what comes out.

use std::cell::OnceCell;

use pyo3::exceptions::{PyException, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::runner::Runner;
use crate::python::awaiting::{self, Context, Polled, Step, future_type};

/// What goes into the generator next.
pub enum Input<'py> {
    Value(Bound<'py, PyAny>),
    Error(PyErr),
}

/// What a yielded object comes to.
pub enum Awaited<'py> {
    Ready(Input<'py>),
    /// Wait for this future, or for a turn of the loop if it is `moment`.
    Pending(Bound<'py, PyAny>),
}

/// A coroutine under way.
pub struct Run<'a, 'py> {
    generator: &'a Bound<'py, PyAny>,
    result: &'a Bound<'py, PyAny>,
    context: &'a Context,
    /// Made when it is needed first.
    runner: OnceCell<Bound<'py, Runner>>,
}

impl<'a, 'py> Run<'a, 'py> {
    pub fn of(
        generator: &'a Bound<'py, PyAny>,
        result: &'a Bound<'py, PyAny>,
        context: &'a Context,
        runner: Option<&Bound<'py, Runner>>,
    ) -> Self {
        Self {
            generator,
            result,
            context,
            runner: runner.map_or_else(OnceCell::new, |runner| runner.clone().into()),
        }
    }

    /// Send this into the generator, and go on until it has to wait or has ended.
    pub fn drive(&self, mut input: Input<'py>) -> PyResult<()> {
        let py = self.generator.py();
        loop {
            let step = match input {
                Input::Value(value) => awaiting::send(self.generator, &value),
                Input::Error(error) => throw(self.generator, error),
            };
            let yielded = match step {
                Step::Yielded(yielded) => yielded,
                Step::Returned(value) => return self.end(Ok(value)),
                Step::Raised(error) => return self.end(value_of_return(py, error)),
            };
            match self.awaited(yielded)? {
                Awaited::Ready(next) => input = next,
                Awaited::Pending(future) => return self.suspend(future),
            }
        }
    }

    pub fn awaited(&self, yielded: Bound<'py, PyAny>) -> PyResult<Awaited<'py>> {
        let py = yielded.py();
        if yielded.is_none() {
            return Ok(Awaited::Pending(moment(py)?.clone()));
        }
        if is_asyncio_future(&yielded)? {
            return polled(yielded);
        }
        if yielded.is(moment(py)?) {
            return Ok(Awaited::Pending(yielded));
        }
        match self.converted(&yielded) {
            Ok(future) if future.is(moment(py)?) => Ok(Awaited::Pending(future)),
            Ok(future) if is_asyncio_future(&future)? => polled(future),
            Ok(future) => {
                if future.call_method0(intern!(py, "done"))?.is_truthy()? {
                    Ok(Awaited::Ready(outcome(&future)))
                } else {
                    Ok(Awaited::Pending(future))
                }
            }
            Err(error) => Ok(Awaited::Ready(Input::Error(error))),
        }
    }

    /// The future that `convert_yielded` makes of this, or `moment`.
    fn converted(&self, yielded: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        static CONVERT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = yielded.py();
        let convert = CONVERT.import(py, "typhoon.gen.yielding", "convert_yielded")?;
        let future = convert.call1((yielded,))?;
        if let Some(start) = future.getattr_opt(intern!(py, "start"))? {
            // One of the older forms, whose meaning depends on the coroutine.
            return start.call1((self.runner()?,));
        }
        if future.is_instance(concurrent_future(py)?)? {
            static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            return WRAP.import(py, "asyncio", "wrap_future")?.call1((future,));
        }
        Ok(future)
    }

    /// The runner of this coroutine.
    fn runner(&self) -> PyResult<&Bound<'py, Runner>> {
        let py = self.generator.py();
        if let Some(runner) = self.runner.get() {
            return Ok(runner);
        }
        let made = Bound::new(
            py,
            Runner::waiting(self.generator, self.result, self.context),
        )?;
        // Whoever waits for the result keeps the coroutine alive, as the garbage collector sees it.
        self.result.setattr(intern!(py, "_runner"), &made)?;
        Ok(self.runner.get_or_init(|| made))
    }

    /// Have the runner called when the future is done, or in the next turn of the loop.
    pub fn suspend(&self, future: Bound<'py, PyAny>) -> PyResult<()> {
        let py = future.py();
        let runner = self.runner()?;
        runner.borrow_mut().wait_for(&future);
        if future.is(moment(py)?) {
            let event_loop = self.result.call_method0(intern!(py, "get_loop"))?;
            self.context
                .call_method_later(&event_loop, intern!(py, "call_soon"), runner)
        } else {
            self.context
                .call_method_later(&future, intern!(py, "add_done_callback"), runner)
        }
    }

    /// Give the result future its outcome.
    fn end(&self, mut outcome: PyResult<Bound<'py, PyAny>>) -> PyResult<()> {
        let py = self.generator.py();
        if let Some(runner) = self.runner.get() {
            let at_end = runner.borrow_mut().finish();
            if let Some(at_end) = at_end
                && let Err(error) = at_end.call0(py)
                && outcome.is_ok()
            {
                outcome = Err(error);
            }
        }
        settle(self.result, outcome)
    }
}

fn polled(future: Bound<'_, PyAny>) -> PyResult<Awaited<'_>> {
    Ok(match awaiting::poll(&future) {
        Polled::Done(value) => Awaited::Ready(Input::Value(value)),
        Polled::Failed(error) => {
            let done = intern!(future.py(), "done");
            if future.call_method0(done)?.is_truthy()? {
                return Ok(Awaited::Ready(Input::Error(error)));
            }
            // `yield from future` has marked it as awaited already, so that it refuses to be polled.
            future.setattr(intern!(future.py(), "_asyncio_future_blocking"), false)?;
            Awaited::Pending(future)
        }
        Polled::Pending => {
            // Polling has marked it as awaited by a task.
            future.setattr(intern!(future.py(), "_asyncio_future_blocking"), false)?;
            Awaited::Pending(future)
        }
    })
}

/// The outcome of a future that is done.
pub fn outcome<'py>(future: &Bound<'py, PyAny>) -> Input<'py> {
    match future.call_method0(intern!(future.py(), "result")) {
        Ok(value) => Input::Value(value),
        Err(error) => Input::Error(error),
    }
}

#[cold]
fn throw<'py>(generator: &Bound<'py, PyAny>, error: PyErr) -> Step<'py> {
    let py = generator.py();
    match generator.call_method1(intern!(py, "throw"), (error.into_value(py),)) {
        Ok(yielded) => Step::Yielded(yielded),
        Err(error) => Step::Raised(error),
    }
}

/// The value that `Return` (or the end of a generator) carries; any other error as it is.
#[cold]
pub fn value_of_return(py: Python<'_>, error: PyErr) -> PyResult<Bound<'_, PyAny>> {
    static RETURN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let return_type = RETURN.import(py, "typhoon.gen.coroutine", "Return")?;
    if error.is_instance(py, return_type) || error.is_instance_of::<PyStopIteration>(py) {
        return error.value(py).getattr(intern!(py, "value"));
    }
    Err(error)
}

/// Give a result future its outcome, unless it has been cancelled.
pub fn settle<'py>(
    result: &Bound<'py, PyAny>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<()> {
    match outcome {
        Ok(value) => match awaiting::set_result(result, &value) {
            Ok(()) => Ok(()),
            Err(_) if is_cancelled(result)? => Ok(()),
            Err(error) => Err(error),
        },
        Err(error) => settle_error(result, error),
    }
}

#[cold]
fn settle_error(result: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    static CANCELLED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = result.py();
    if error.is_instance(py, CANCELLED.import(py, "asyncio", "CancelledError")?) {
        return result.call_method0(intern!(py, "cancel")).map(drop);
    }
    if !error.is_instance_of::<PyException>(py) {
        // SystemExit and the like end the program.
        return Err(error);
    }
    let set = SET.import(
        py,
        "typhoon.concurrent",
        "future_set_exception_unless_cancelled",
    )?;
    set.call1((result, error.into_value(py))).map(drop)
}

fn is_cancelled(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    future
        .call_method0(intern!(future.py(), "cancelled"))?
        .is_truthy()
}

fn task_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TASK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TASK.import(py, "asyncio", "Task")
}

fn concurrent_future(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static FUTURE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    FUTURE.import(py, "concurrent.futures", "Future")
}

fn moment(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MOMENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MOMENT.import(py, "typhoon.gen.yielding", "moment")
}

/// Whether this is just an `asyncio.Future` or `asyncio.Task`, no subclass with ways of its own.
fn is_asyncio_future(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    Ok(object.is_exact_instance(future_type(py)?) || object.is_exact_instance(task_type(py)?))
}
