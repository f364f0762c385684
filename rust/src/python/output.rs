//! Where the bytes of a connection go: to its socket, or to its transport.
//!
//! A transport takes a bytes object, keeps track of it and tries to send it at once. On a plain
//! socket with nothing queued we try that ourselves: it saves the object and the bookkeeping, on
//! every response. What the socket does not take, and whatever goes wrong, is the transport's.

use std::os::raw::c_int;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The way out of a connection.
pub struct Output {
    transport: Py<PyAny>,
    /// The socket, if it is a plain one.
    socket: Option<c_int>,
    /// The transport may have bytes that have not been sent: they go first.
    pub queued: bool,
}

impl Output {
    /// The way out through this transport.
    pub fn new(transport: &Bound<'_, PyAny>) -> PyResult<Self> {
        let socket = plain_socket(transport)?;
        Ok(Self {
            transport: transport.clone().unbind(),
            socket,
            queued: false,
        })
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)
    }

    /// A second handle to the same way, to be used while the connection is not borrowed.
    pub fn handle(&self, py: Python<'_>) -> Self {
        Self {
            transport: self.transport.clone_ref(py),
            socket: self.socket,
            queued: self.queued,
        }
    }

    /// Send these bytes. True if the transport has some of them now, or of earlier ones.
    pub fn send(&self, py: Python<'_>, data: &[u8]) -> PyResult<bool> {
        self.send_shared(py, data, None)
    }

    /// `send`, with the same bytes as an object, if others hold it too.
    pub fn send_shared(
        &self,
        py: Python<'_>,
        data: &[u8],
        object: Option<&Bound<'_, PyBytes>>,
    ) -> PyResult<bool> {
        let sent = self.send_directly(py, &[], data)?;
        match object {
            _ if sent == data.len() => return Ok(false),
            Some(object) if sent == 0 => self.send_object(py, object)?,
            _ => self.send_object(py, &PyBytes::new(py, &data[sent..]))?,
        }
        Ok(true)
    }

    /// `send` for a long payload and what goes before it, without joining them first.
    pub fn send_behind(&self, py: Python<'_>, head: &[u8], payload: &[u8]) -> PyResult<bool> {
        let sent = self.send_directly(py, head, payload)?;
        if sent == head.len() + payload.len() {
            return Ok(false);
        }
        let (head, payload) = match sent.checked_sub(head.len()) {
            Some(sent) => (&[][..], &payload[sent..]),
            None => (&head[sent..], payload),
        };
        let rest = PyBytes::new_with(py, head.len() + payload.len(), |out| {
            out[..head.len()].copy_from_slice(head);
            out[head.len()..].copy_from_slice(payload);
            Ok(())
        })?;
        self.send_object(py, &rest)?;
        Ok(true)
    }

    /// Hand a bytes object to the transport as it is.
    pub fn send_object(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let transport = self.transport.bind(py);
        transport
            .call_method1(intern!(py, "write"), (data,))
            .map(drop)
    }

    /// Whether the transport has bytes that have not been sent.
    pub fn has_unsent(&self, py: Python<'_>) -> PyResult<bool> {
        let transport = self.transport.bind(py);
        let size = transport.call_method0(intern!(py, "get_write_buffer_size"))?;
        Ok(size.extract::<usize>()? > 0)
    }

    /// Whether the transport is closed, or about to be.
    pub fn is_closing(&self, py: Python<'_>) -> PyResult<bool> {
        let transport = self.transport.bind(py);
        transport
            .call_method0(intern!(py, "is_closing"))?
            .is_truthy()
    }

    /// How many of the bytes the socket has taken.
    #[cfg(unix)]
    #[allow(unsafe_code)]
    fn send_directly(&self, py: Python<'_>, head: &[u8], data: &[u8]) -> PyResult<usize> {
        use std::io::IoSlice;

        use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

        let Some(socket) = self.socket else {
            return Ok(0);
        };
        if self.queued && self.has_unsent(py)? {
            return Ok(0);
        }
        if self.is_closing(py)? {
            return Ok(0);
        }
        // SAFETY: the transport is open, so it has not closed its socket, and will not do so
        // before this function returns.
        let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket) };
        // An error is not lost: the transport meets it, too, and closes the connection with it.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = if head.is_empty() {
            send(socket, data, flags)
        } else {
            let parts = [IoSlice::new(head), IoSlice::new(data)];
            sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), flags)
        };
        Ok(sent.unwrap_or(0))
    }

    #[cfg(not(unix))]
    fn send_directly(&self, _py: Python<'_>, _head: &[u8], _data: &[u8]) -> PyResult<usize> {
        Ok(0)
    }
}

/// The descriptor of a transport's socket; None if there is TLS, or anything else, in between.
fn plain_socket(transport: &Bound<'_, PyAny>) -> PyResult<Option<c_int>> {
    let py = transport.py();
    let name = intern!(py, "get_extra_info");
    if !transport
        .call_method1(name, (intern!(py, "sslcontext"),))?
        .is_none()
    {
        return Ok(None);
    }
    socket_of(transport)
}

/// The descriptor of a transport's socket; None if it has none.
pub fn socket_of(transport: &Bound<'_, PyAny>) -> PyResult<Option<c_int>> {
    let py = transport.py();
    let arguments = (intern!(py, "socket"),);
    let socket = transport.call_method1(intern!(py, "get_extra_info"), arguments)?;
    if socket.is_none() {
        return Ok(None);
    }
    let descriptor: c_int = socket.call_method0(intern!(py, "fileno"))?.extract()?;
    Ok((descriptor >= 0).then_some(descriptor))
}

/// Whether something can be read from the socket of an open transport: bytes, an end, or an error.
#[cfg(unix)]
#[allow(unsafe_code)]
pub fn has_input(socket: c_int) -> bool {
    use rustix::net::{RecvFlags, recv};

    // SAFETY: the caller has an open transport, which has not closed its socket.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket) };
    let mut byte = [0];
    let found = recv(socket, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    !matches!(found, Err(rustix::io::Errno::AGAIN))
}

#[cfg(not(unix))]
pub fn has_input(_socket: c_int) -> bool {
    false
}
