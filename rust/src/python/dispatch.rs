//! `Dispatcher`: the way of a complete request to its handler.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::responder::Responder;
use super::routes::RouteTable;

/// Finds the handler class for a request in the rules of an `Application`, and runs a handler.
#[pyclass(frozen, module = "typhoon._core")]
pub struct Dispatcher {
    application: Py<PyAny>,
    default_router: Py<PyAny>,
    wildcard_router: Py<PyAny>,
}

#[pymethods]
impl Dispatcher {
    #[new]
    fn new(application: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            default_router: application.getattr("default_router")?.unbind(),
            wildcard_router: application.getattr("wildcard_router")?.unbind(),
            application: application.clone().unbind(),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.application)?;
        visit.call(&self.default_router)?;
        visit.call(&self.wildcard_router)
    }

    /// The rule for this request and what it found; None if routers have to be asked.
    fn find<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let rules_of = |router: &Py<PyAny>| router.bind(py).getattr(intern!(py, "_rules"));
        if rules_of(&self.default_router)?.cast::<PyList>()?.len() > 1 {
            // More than the one rule for all hosts.
            return Ok(None);
        }
        let rules = rules_of(&self.wildcard_router)?;
        let mut table = rules.getattr(intern!(py, "table"))?;
        if table.is_none() {
            table = rules.call_method0(intern!(py, "make_table"))?;
        }
        let match_ = table.cast::<RouteTable>()?.get().find(py, request)?;
        let is_handler = match &match_ {
            Some(match_) => match_
                .get_item(0)?
                .getattr(intern!(py, "is_handler"))?
                .is_truthy()?,
            None => false,
        };
        Ok(match_.filter(|_| is_handler))
    }

    /// Let the right handler answer a complete request.
    fn __call__<'py>(&self, py: Python<'py>, request: &Bound<'py, PyAny>) -> PyResult<()> {
        let application = self.application.bind(py);
        let Some(match_) = self.find(py, request)? else {
            return application.call1((request,)).map(drop);
        };
        let rule = match_.get_item(0)?;
        let params = match_.get_item(1)?.cast_into::<PyDict>()?;
        let class = rule.getattr(intern!(py, "target"))?;
        let kwargs = rule
            .getattr(intern!(py, "target_kwargs"))?
            .cast_into::<PyDict>()?;
        let handler = if kwargs.is_empty() {
            class.call1((application, request))?
        } else {
            class.call((application, request), Some(&kwargs))?
        };
        let handler = handler.cast_into::<Responder>()?;
        let transforms = application.getattr(intern!(py, "transforms"))?;
        if !transforms.is_empty()? {
            let made = PyList::empty(py);
            for make in transforms.try_iter()? {
                made.append(make?.call1((request,))?)?;
            }
            handler.borrow_mut().set_transforms(&made)?;
        }
        let args = match params.get_item(intern!(py, "path_args"))? {
            Some(args) => args,
            None => PyTuple::empty(py).into_any(),
        };
        let kwargs = match params.get_item(intern!(py, "path_kwargs"))? {
            Some(kwargs) => kwargs.cast_into::<PyDict>()?,
            None => PyDict::new(py),
        };
        Responder::_run(&handler, &args, &kwargs)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Dispatcher>()
}
