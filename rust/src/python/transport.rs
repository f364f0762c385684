//! What is done with an asyncio transport on the way to its end.

use pyo3::intern;
use pyo3::prelude::*;

/// Read on from a transport whose reading has been paused, unless it is about to close.
pub fn resume_reading(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    if transport
        .call_method0(intern!(py, "is_closing"))?
        .is_truthy()?
    {
        return Ok(());
    }
    transport
        .call_method0(intern!(py, "resume_reading"))
        .map(drop)
}

/// Free a closed transport of asyncio's selector loop at once, and not when the garbage collector
/// comes by: it refers to itself, by the bound methods that read and write.
pub fn free(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    // Since Python 3.12 this does it, but nobody has called it if the connection was cut.
    transport.call_method0(intern!(py, "close"))?;
    let name = intern!(py, "_read_ready_cb");
    match transport.getattr_opt(name)? {
        Some(_) => transport.setattr(name, py.None()),
        None => Ok(()),
    }
}
