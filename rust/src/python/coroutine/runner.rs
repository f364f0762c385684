//! `Runner`: what waits for a future on behalf of a generator.

use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::run::{Awaited, Input, Run, outcome};
use crate::python::awaiting::{self, Context, new_future};

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
    pub fn waiting(
        generator: &Bound<'_, PyAny>,
        result: &Bound<'_, PyAny>,
        context: &Context,
    ) -> Self {
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

    /// This is what it waits for: to be called when it is done.
    pub fn wait_for(&mut self, future: &Bound<'_, PyAny>) {
        self.future = Some(future.clone().unbind());
    }

    /// The generator has ended. Returns what is to be called then.
    pub fn finish(&mut self) -> Option<Py<PyAny>> {
        self.finished = true;
        self.generator = None;
        self.result = None;
        self.context = None;
        self.at_end.take()
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
