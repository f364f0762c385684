//! `RouteTable` for Python.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use crate::routes::{self, Literal};

/// Tells which rules of an ordered list can match a path, by the literal text of their patterns.
#[pyclass(frozen, module = "typhoon._core")]
pub struct RouteTable {
    table: routes::RouteTable,
    /// The answers, each made when it is first needed.
    answers: Vec<PyOnceLock<Py<PyTuple>>>,
}

#[pymethods]
impl RouteTable {
    #[new]
    fn new(literals: Vec<(String, bool)>) -> Self {
        let table = routes::RouteTable::new(literals.iter().map(|(text, exact)| Literal {
            text: text.as_bytes(),
            exact: *exact,
        }));
        let answers = (0..table.sets()).map(|_| PyOnceLock::new()).collect();
        Self { table, answers }
    }

    fn candidates<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // A path with lone surrogates has no UTF-8 to compare.
        let set = path
            .to_str()
            .map_or(routes::ALL, |path| self.table.find(path.as_bytes()));
        self.answers[set]
            .get_or_try_init(py, || Ok(PyTuple::new(py, self.table.rules(set))?.unbind()))
            .map(|answer| answer.bind(py).clone())
    }
}
