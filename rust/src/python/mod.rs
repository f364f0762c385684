//! The thin layer that wraps the core for CPython, as the module `typhoon._core`.

mod connection;
mod digest;
mod escape;
mod forms;
mod headers;
mod request;
mod routes;
mod text;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    digest::register(module)?;
    escape::register(module)?;
    forms::register(module)?;
    headers::register(module)?;
    request::register(module)?;
    connection::register(module)?;
    module.add_class::<routes::RouteTable>()
}
