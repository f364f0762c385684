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

use std::cell::OnceCell;

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyException, PyStopIteration, PyTypeError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use super::awaiting::{self, Context, Polled, Step, future_type, new_future};

/// What goes into the generator next.
enum Input<'py> {
    Value(Bound<'py, PyAny>),
    Error(PyErr),
}

/// What a yielded object comes to.
enum Awaited<'py> {
    Ready(Input<'py>),
    /// Wait for this future, or for a turn of the loop if it is `moment`.
    Pending(Bound<'py, PyAny>),
}

/// Drives a generator whose coroutine had to wait.
#[pyclass(module = "typhoon._core")]
pub struct Runner {
    generator: Option<Py<PyAny>>,
    result: Option<Py<PyAny>>,
    context: Option<Context>,
    /// What it waits for; `moment` for a turn of the loop.
    future: Option<Py<PyAny>>,
    /// Called when the generator has ended; it may raise. Set by the older forms of yielding.
    #[pyo3(get, set)]
    at_end: Option<Py<PyAny>>,
    #[pyo3(get)]
    running: bool,
    #[pyo3(get)]
    finished: bool,
}

#[pymethods]
impl Runner {
    #[new]
    fn new(
        ctx_run: &Bound<'_, PyAny>,
        r#gen: Bound<'_, PyAny>,
        result_future: Bound<'_, PyAny>,
        first_yielded: Bound<'_, PyAny>,
    ) -> PyResult<Py<Self>> {
        let py = ctx_run.py();
        let context = Context::of_run_method(ctx_run).ok_or_else(|| {
            PyTypeError::new_err("ctx_run is the run method of a contextvars.Context")
        })?;
        let runner = Bound::new(py, Self::waiting(&r#gen, &result_future, &context))?;
        let run = Run::of(&r#gen, &result_future, &context, Some(&runner));
        context.enter(py, || match run.awaited(first_yielded)? {
            Awaited::Ready(input) => run.drive(input),
            Awaited::Pending(future) => run.suspend(future),
        })?;
        Ok(runner.unbind())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.generator)?;
        visit.call(&self.result)?;
        visit.call(&self.future)?;
        visit.call(&self.at_end)?;
        match &self.context {
            Some(context) => visit.call(context.object()),
            None => Ok(()),
        }
    }

    fn __clear__(&mut self) {
        self.generator = None;
        self.result = None;
        self.future = None;
        self.at_end = None;
        self.context = None;
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match &self.generator {
            Some(generator) => format!("<Runner of {}>", generator.bind(py).repr()?),
            None => "<Runner finished>".to_owned(),
        })
    }

    /// What it waited for is done. The event loop calls this in the coroutine's context.
    #[pyo3(signature = (*_future))]
    fn __call__(slf: &Bound<'_, Self>, _future: &Bound<'_, PyTuple>) -> PyResult<()> {
        Self::wake(slf)
    }

    /// Go on if what it waits for is done.
    fn run(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (context, done) = {
            let this = slf.borrow();
            match (&this.context, &this.future) {
                (Some(context), Some(future)) => (
                    context.clone_ref(py),
                    future
                        .bind(py)
                        .call_method0(intern!(py, "done"))?
                        .is_truthy()?,
                ),
                _ => return Ok(()),
            }
        };
        if done {
            context.enter(py, || Self::wake(slf))?;
        }
        Ok(())
    }

    /// Wait for `yielded`. True if it is done already: then `run` goes on.
    fn handle_yield(slf: &Bound<'_, Self>, yielded: Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let Some((generator, result, context)) = slf.borrow().parts(py) else {
            return Ok(false);
        };
        let run = Run::of(&generator, &result, &context, Some(slf));
        match context.enter(py, || run.awaited(yielded))? {
            Awaited::Pending(future) => {
                run.suspend(future)?;
                Ok(false)
            }
            Awaited::Ready(input) => {
                let future = new_future(py)?;
                match input {
                    Input::Value(value) => awaiting::set_result(&future, &value)?,
                    Input::Error(error) => future
                        .call_method1(intern!(py, "set_exception"), (error.value(py),))
                        .map(drop)?,
                }
                slf.borrow_mut().future = Some(future.unbind());
                Ok(true)
            }
        }
    }

    /// Throw an exception into the generator where it waits. False if it runs or has finished.
    fn handle_exception(
        slf: &Bound<'_, Self>,
        typ: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        tb: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (typ, tb); // the exception has both
        let py = slf.py();
        if slf.borrow().running || slf.borrow().finished {
            return Ok(false);
        }
        let future = new_future(py)?;
        future.call_method1(intern!(py, "set_exception"), (value,))?;
        slf.borrow_mut().future = Some(future.unbind());
        Self::run(slf)?;
        Ok(true)
    }

    /// The method `run` of the context in which the generator runs.
    #[getter]
    fn ctx_run<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.context
            .as_ref()
            .map(|context| context.object().bind(py).getattr(intern!(py, "run")))
            .transpose()
    }

    /// The generator; None once it has ended.
    #[getter]
    fn r#gen(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.generator.as_ref().map(|object| object.clone_ref(py))
    }

    /// The future of the coroutine's result; None once it is done.
    #[getter]
    fn result_future(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.result.as_ref().map(|object| object.clone_ref(py))
    }

    /// What the generator waits for.
    #[getter]
    fn future(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.future.as_ref().map(|object| object.clone_ref(py))
    }

    /// The event loop of the coroutine.
    #[getter]
    fn io_loop<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.result
            .as_ref()
            .map(|result| result.bind(py).call_method0(intern!(py, "get_loop")))
            .transpose()
    }
}

impl Runner {
    fn waiting(generator: &Bound<'_, PyAny>, result: &Bound<'_, PyAny>, context: &Context) -> Self {
        Self {
            generator: Some(generator.clone().unbind()),
            result: Some(result.clone().unbind()),
            context: Some(context.clone_ref(generator.py())),
            future: None,
            at_end: None,
            running: false,
            finished: false,
        }
    }

    #[allow(clippy::type_complexity)]
    fn parts<'py>(
        &self,
        py: Python<'py>,
    ) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>, Context)> {
        Some((
            self.generator.as_ref()?.bind(py).clone(),
            self.result.as_ref()?.bind(py).clone(),
            self.context.as_ref()?.clone_ref(py),
        ))
    }

    /// Go on with the outcome of what it waited for.
    fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (future, parts) = {
            let mut this = slf.borrow_mut();
            // None: it has been woken already, or has finished.
            let Some(future) = this.future.take() else {
                return Ok(());
            };
            this.running = true;
            (future.into_bound(py), this.parts(py))
        };
        let Some((generator, result, context)) = parts else {
            return Ok(());
        };
        let run = Run::of(&generator, &result, &context, Some(slf));
        let input = outcome(&future);
        drop(future);
        let outcome = run.drive(input);
        slf.borrow_mut().running = false;
        outcome
    }
}

/// A coroutine under way.
struct Run<'a, 'py> {
    generator: &'a Bound<'py, PyAny>,
    result: &'a Bound<'py, PyAny>,
    context: &'a Context,
    /// Made when it is needed first.
    runner: OnceCell<Bound<'py, Runner>>,
}

impl<'a, 'py> Run<'a, 'py> {
    fn of(
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
    fn drive(&self, mut input: Input<'py>) -> PyResult<()> {
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

    fn awaited(&self, yielded: Bound<'py, PyAny>) -> PyResult<Awaited<'py>> {
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
    fn suspend(&self, future: Bound<'py, PyAny>) -> PyResult<()> {
        let py = future.py();
        let runner = self.runner()?;
        runner.borrow_mut().future = Some(future.clone().unbind());
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
            let at_end = {
                let mut this = runner.borrow_mut();
                this.finished = true;
                this.generator = None;
                this.result = None;
                this.context = None;
                this.at_end.take()
            };
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
fn outcome<'py>(future: &Bound<'py, PyAny>) -> Input<'py> {
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
fn value_of_return(py: Python<'_>, error: PyErr) -> PyResult<Bound<'_, PyAny>> {
    static RETURN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let return_type = RETURN.import(py, "typhoon.gen.coroutine", "Return")?;
    if error.is_instance(py, return_type) || error.is_instance_of::<PyStopIteration>(py) {
        return error.value(py).getattr(intern!(py, "value"));
    }
    Err(error)
}

/// Give a result future its outcome, unless it has been cancelled.
fn settle<'py>(result: &Bound<'py, PyAny>, outcome: PyResult<Bound<'py, PyAny>>) -> PyResult<()> {
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
