//! The thin layer that wraps the core for CPython.

mod routes;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<routes::RouteTable>()?;
    Ok(())
}
