//! What all connections of a server share.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::http1::{BodyLength, Limits};

/// What all connections of a server share. Times are in seconds, sizes in bytes.
///
/// `on_request(request)` is called with each complete request. If `on_head` is given, it is called
/// with the head of each request that has a body (with `every_head`, of each request); what it
/// returns, if not None, is an `HTTPMessageDelegate` that takes the body in pieces instead.
#[pyclass(frozen, module = "typhoon._core")]
pub struct ServerSettings {
    pub on_request: Py<PyAny>,
    pub on_head: Option<Py<PyAny>>,
    pub every_head: bool,
    pub chunk_size: usize,
    pub limits: Limits,
    pub header_timeout: f64,
    pub body_timeout: f64,
    pub idle_timeout: f64,
    pub keep_alive: bool,
}

impl ServerSettings {
    /// What is told of the head of a request with such a body; None if nobody is.
    pub fn on_head_of(&self, body: BodyLength) -> Option<&Py<PyAny>> {
        let wanted = self.every_head || body != BodyLength::Exact(0);
        self.on_head.as_ref().filter(|_| wanted)
    }
}

#[pymethods]
impl ServerSettings {
    #[new]
    #[pyo3(signature = (*, on_request, on_head=None, every_head=false, chunk_size, max_header_size, max_body_size, header_timeout, body_timeout=None, idle_timeout, keep_alive=true))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        on_request: Py<PyAny>,
        on_head: Option<Py<PyAny>>,
        every_head: bool,
        chunk_size: usize,
        max_header_size: usize,
        max_body_size: u64,
        header_timeout: f64,
        body_timeout: Option<f64>,
        idle_timeout: f64,
        keep_alive: bool,
    ) -> Self {
        Self {
            on_request,
            on_head,
            every_head,
            chunk_size: chunk_size.max(1),
            limits: Limits {
                max_head_size: max_header_size,
                max_body_size,
            },
            header_timeout,
            body_timeout: body_timeout.unwrap_or(f64::INFINITY),
            idle_timeout,
            keep_alive,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on_request)?;
        visit.call(&self.on_head)
    }
}
