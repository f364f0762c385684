//! `RouteTable` for Python, and what a path's pattern matched.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::request::Request;
use crate::escape::url_unescape;
use crate::routes::{self, Literal};

/// A rule as the table holds it.
struct Entry {
    rule: Py<PyAny>,
    /// The only path that the rule accepts, if there is just one to tell, and the answer for it.
    exact: Option<(String, Py<PyTuple>)>,
    /// The matcher's own method, where it is not the usual one for paths.
    matcher: Matcher,
}

enum Matcher {
    Pattern { regex: Py<PyAny>, by_name: bool },
    Function(Py<PyAny>),
}

/// A rule, its compiled pattern or None, and the function of the request that matches else.
type RuleParts = (Py<PyAny>, Option<Py<PyAny>>, Py<PyAny>);

/// The rules of a router, indexed by the literal text of their patterns.
#[pyclass(frozen, module = "typhoon._core")]
pub struct RouteTable {
    table: routes::RouteTable,
    /// The candidates, each set made when it is first needed.
    candidates: Vec<PyOnceLock<Py<PyTuple>>>,
    entries: Vec<Entry>,
}

#[pymethods]
impl RouteTable {
    /// `literals` are (the literal text a pattern starts with, whether it is all of it), and
    /// `rules` are (rule, compiled pattern or None, function of the request that matches else).
    #[new]
    #[pyo3(signature = (literals, rules=Vec::new()))]
    fn new(py: Python<'_>, literals: Vec<(String, bool)>, rules: Vec<RuleParts>) -> PyResult<Self> {
        let table = routes::RouteTable::new(literals.iter().map(|(text, exact)| Literal {
            text: text.as_bytes(),
            exact: *exact,
        }));
        let candidates = (0..table.sets()).map(|_| PyOnceLock::new()).collect();
        let mut entries = Vec::with_capacity(rules.len());
        for ((text, is_exact), (rule, regex, function)) in literals.into_iter().zip(rules) {
            let exact = if is_exact {
                let hit = (rule.clone_ref(py), PyDict::new(py)).into_pyobject(py)?;
                Some((text, hit.unbind()))
            } else {
                None
            };
            let matcher = match regex {
                Some(regex) => {
                    let by_name = regex
                        .getattr(py, intern!(py, "groupindex"))?
                        .is_truthy(py)?;
                    Matcher::Pattern { regex, by_name }
                }
                None => Matcher::Function(function),
            };
            entries.push(Entry {
                rule,
                exact,
                matcher,
            });
        }
        Ok(Self {
            table,
            candidates,
            entries,
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for entry in &self.entries {
            visit.call(&entry.rule)?;
            if let Some((_, hit)) = &entry.exact {
                visit.call(hit)?;
            }
            match &entry.matcher {
                Matcher::Pattern { regex, .. } => visit.call(regex)?,
                Matcher::Function(function) => visit.call(function)?,
            }
        }
        Ok(())
    }

    /// The indices of the rules that can match this path, in ascending order.
    fn candidates<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let set = self.set_of(path);
        self.candidates[set]
            .get_or_try_init(py, || Ok(PyTuple::new(py, self.table.rules(set))?.unbind()))
            .map(|candidates| candidates.bind(py).clone())
    }

    /// The first rule that accepts the request and what its matcher found, or None.
    pub fn find<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let path = Request::path_of(request)?;
        for number in self.candidates(py, &path)?.iter_borrowed() {
            let entry = &self.entries[number.extract::<usize>()?];
            if let Some((exact, hit)) = &entry.exact
                && path.to_str().is_ok_and(|path| path == exact)
            {
                return Ok(Some(hit.bind(py).clone()));
            }
            let params = match &entry.matcher {
                Matcher::Pattern { regex, by_name } => {
                    match_path(regex.bind(py), &path, *by_name)?.map(Bound::into_any)
                }
                Matcher::Function(function) => {
                    Some(function.bind(py).call1((request,))?).filter(|found| !found.is_none())
                }
            };
            if let Some(params) = params {
                return (entry.rule.bind(py), params).into_pyobject(py).map(Some);
            }
        }
        Ok(None)
    }
}

impl RouteTable {
    fn set_of(&self, path: &Bound<'_, PyString>) -> usize {
        // A path with lone surrogates has no UTF-8 to compare.
        path.to_str()
            .map_or(routes::ALL, |path| self.table.find(path.as_bytes()))
    }
}

/// What a pattern's groups matched in a path, unescaped: `path_args` or, `by_name`, `path_kwargs`.
/// An empty dict if it has no groups; None if it does not match.
#[pyfunction]
fn match_path<'py>(
    regex: &Bound<'py, PyAny>,
    path: &Bound<'py, PyString>,
    by_name: bool,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = regex.py();
    let found = regex.call_method1(intern!(py, "match"), (path,))?;
    if found.is_none() {
        return Ok(None);
    }
    let params = PyDict::new(py);
    let (args, kwargs) = (PyList::empty(py), PyDict::new(py));
    if by_name {
        let groups = found
            .call_method0(intern!(py, "groupdict"))?
            .cast_into::<PyDict>()?;
        for (name, text) in groups {
            kwargs.set_item(name, unescaped(&text)?)?;
        }
    } else {
        let groups = found
            .call_method0(intern!(py, "groups"))?
            .cast_into::<PyTuple>()?;
        if groups.is_empty() {
            return Ok(Some(params));
        }
        for text in groups.iter_borrowed() {
            args.append(unescaped(&text)?)?;
        }
    }
    params.set_item(intern!(py, "path_args"), args)?;
    params.set_item(intern!(py, "path_kwargs"), kwargs)?;
    Ok(Some(params))
}

/// The bytes that a group stands for; None if it took no part in the match.
fn unescaped<'py>(text: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if text.is_none() {
        return Ok(None);
    }
    let Ok(utf8) = text.cast::<PyString>()?.to_str() else {
        // Lone surrogates; only a program can have put them there, and the handler refuses them.
        let arguments = (
            intern!(text.py(), "utf-8"),
            intern!(text.py(), "surrogatepass"),
        );
        let bytes = text.call_method1(intern!(text.py(), "encode"), arguments)?;
        return Ok(Some(bytes.cast_into()?));
    };
    let unescaped = url_unescape(utf8.as_bytes(), false);
    Ok(Some(PyBytes::new(text.py(), &unescaped)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(match_path, module)?)?;
    module.add_class::<RouteTable>()
}
