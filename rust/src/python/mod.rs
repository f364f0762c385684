//! The thin layer that wraps the core for CPython, as the module `typhoon._core`.

mod awaiting;
mod buffers;
mod client;
mod connection;
mod coroutine;
mod digest;
mod dispatch;
mod errors;
mod escape;
mod forms;
mod headers;
mod hooks;
mod http1;
mod json;
mod output;
mod queue;
mod request;
mod responder;
mod routes;
mod template;
mod text;
mod transport;
mod unread;
mod websocket;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    escape::register(module)?;
    forms::register(module)?;
    headers::register(module)?;
    request::register(module)?;
    errors::register(module)?;
    client::register(module)?;
    connection::register(module)?;
    coroutine::register(module)?;
    http1::register(module)?;
    hooks::register(module)?;
    responder::register(module)?;
    dispatch::register(module)?;
    json::register(module)?;
    queue::register(module)?;
    routes::register(module)?;
    template::register(module)?;
    websocket::register(module)
}
