//! The face to Python: an asyncio protocol, and how responses are sent.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::{Phase, ServerConnection, ServerSettings, UNREAD_LIMIT, Unread, monotonic};
use crate::http1::{Decoder, Encoder, Role};
use crate::python::headers::PyHeaders;
use crate::python::output::Output;
use crate::python::text::to_latin1;
use crate::python::transport;

/// Bodies above this go to the transport as they are; smaller ones join the head in one buffer.
const COPY_LIMIT: usize = 32 * 1024;

#[pymethods]
impl ServerConnection {
    #[new]
    fn new(py: Python<'_>, settings: Py<ServerSettings>) -> Self {
        let _ = py;
        let (limits, body_timeout) = (settings.get().limits, settings.get().body_timeout);
        Self {
            settings,
            transport: None,
            output: None,
            decoder: Decoder::new(Role::Server, limits),
            encoder: Encoder::new(),
            unread: Unread::default(),
            request: None,
            sink: None,
            close_callback: None,
            body: Vec::new(),
            phase: Phase::Idle,
            deadline: f64::INFINITY,
            next_check: f64::INFINITY,
            body_timeout,
            exchange: false,
            body_pending: false,
            expects_continue: false,
            held: false,
            choked: false,
            pumping: false,
            reading_paused: false,
            eof: false,
            deaf: false,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.settings)?;
        visit.call(&self.transport)?;
        if let Some(output) = &self.output {
            output.traverse(&visit)?;
        }
        visit.call(&self.request)?;
        visit.call(&self.sink)?;
        visit.call(&self.close_callback)
    }

    fn __clear__(&mut self) {
        self.transport = None;
        self.output = None;
        self.request = None;
        self.sink = None;
        self.close_callback = None;
    }

    /// asyncio: the connection is there.
    fn connection_made(slf: &Bound<'_, Self>, transport: Bound<'_, PyAny>) -> PyResult<()> {
        let idle_timeout = {
            let mut this = slf.borrow_mut();
            this.output = Some(Output::new(&transport)?);
            this.transport = Some(transport.unbind());
            this.settings.get().idle_timeout
        };
        Self::enter(slf, Phase::Idle, idle_timeout)
    }

    /// asyncio: bytes have come.
    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            if this.deaf {
                return Ok(());
            }
            if this.is_blocked() || this.pumping {
                this.unread.buffer.extend_from_slice(data.as_bytes());
                if this.unread.len() <= UNREAD_LIMIT {
                    return Ok(());
                }
                drop(this);
                return Self::pause_reading(slf);
            }
        }
        Self::feed(slf, data.as_bytes())
    }

    /// asyncio: the client has closed its side. True keeps ours open, for a response in the making.
    fn eof_received(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (answering, waiting, deaf) = {
            let mut this = slf.borrow_mut();
            this.eof = true;
            let answering = this.exchange && this.decoder.is_done();
            (
                answering,
                this.unread.len() > 0 && this.is_blocked(),
                this.deaf,
            )
        };
        if waiting && !answering && !deaf {
            // What has come before is looked at first; that it is the last is noticed then.
            return Ok(true);
        }
        if answering && !deaf {
            let seconds = slf.borrow().settings.get().header_timeout;
            Self::enter(slf, Phase::HalfClosed, seconds)?;
            Self::notify_closed(slf)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// asyncio: the connection is gone.
    #[pyo3(signature = (exc=None))]
    fn connection_lost(slf: &Bound<'_, Self>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        let _ = exc;
        let exchange = {
            let mut this = slf.borrow_mut();
            this.deaf = true;
            this.output = None;
            this.unread = Unread::default();
            this.exchange
        };
        if exchange {
            // Who it was is still asked for, by the access log at least.
            slf.getattr(intern!(slf.py(), "context"))?;
        }
        let transport = slf.borrow_mut().transport.take();
        Self::notify_closed(slf)?;
        {
            let mut this = slf.borrow_mut();
            this.exchange = false;
            this.request = None;
            this.body = Vec::new();
        }
        if let Some(transport) = transport {
            transport::free(transport.bind(slf.py()))?;
        }
        slf.call_method0(intern!(slf.py(), "_lost")).map(drop)
    }

    /// Go on with input that has waited.
    fn _pump(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.borrow().is_blocked() || slf.borrow().pumping {
            return Ok(());
        }
        Self::feed(slf, b"")?;
        if slf.borrow().is_blocked() && slf.borrow().unread.len() > UNREAD_LIMIT {
            return Ok(());
        }
        Self::resume_reading(slf)
    }

    /// The piece of body that was handed out has (not) been taken in; the next one waits.
    fn _set_held(slf: &Bound<'_, Self>, held: bool) -> PyResult<()> {
        slf.borrow_mut().held = held;
        if held { Ok(()) } else { Self::_pump(slf) }
    }

    /// The transport's buffer is (not) over its high-water mark; responses must not pile up in it.
    fn _set_choked(slf: &Bound<'_, Self>, choked: bool) -> PyResult<()> {
        slf.borrow_mut().choked = choked;
        if choked { Ok(()) } else { Self::pump_soon(slf) }
    }

    /// A deadline may have passed: act upon it, or return the seconds until the next look.
    fn _expire(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        let phase = {
            let mut this = slf.borrow_mut();
            let now = monotonic();
            if this.transport.is_none() {
                return Ok(None);
            }
            if this.deadline > now {
                let limit = this.settings.get().idle_timeout.max(1.0);
                let seconds = (this.deadline - now).min(limit);
                this.next_check = now + seconds;
                return Ok(Some(seconds));
            }
            this.next_check = f64::INFINITY;
            this.phase
        };
        match phase {
            Phase::Idle => slf.call_method0("_close_idle").map(drop)?,
            Phase::Head => Self::reject(slf, 408, "Timeout reading head")?,
            Phase::Body => Self::reject(slf, 408, "Timeout reading body")?,
            Phase::Handler => {}
            Phase::HalfClosed | Phase::Linger => slf.call_method0("abort").map(drop)?,
        }
        Ok(None)
    }

    /// Send a whole response: head, body and end. `headers` gets a Content-Length if it has none.
    pub fn respond(
        slf: &Bound<'_, Self>,
        status: u16,
        reason: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        chunks: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        let py = slf.py();
        let mut length = 0;
        for chunk in chunks {
            length += chunk.cast::<PyBytes>()?.as_bytes().len();
        }
        let copies = length <= COPY_LIMIT;
        let mut out = Vec::with_capacity(512 + if copies { length } else { 0 });
        let (output, chunks_follow) = {
            let mut this = slf.borrow_mut();
            if this.is_gone() {
                return Ok(());
            }
            if !(status < 200 || status == 204 || status == 304) {
                let headers = &mut headers.borrow_mut().inner;
                if !headers.contains(b"Content-Length") && !headers.contains(b"Transfer-Encoding") {
                    let mut digits = itoa::Buffer::new();
                    headers.add_checked(b"Content-Length", digits.format(length).as_bytes());
                }
            }
            let mut encoder = this.encoder;
            if this.body_pending {
                encoder.close_after();
            }
            encoder.response(
                &mut out,
                status,
                &to_latin1(reason)?,
                &headers.borrow().inner,
            )?;
            let mut chunks_follow = false;
            if copies {
                for chunk in chunks {
                    encoder.data(&mut out, chunk.cast::<PyBytes>()?.as_bytes())?;
                }
            } else {
                chunks_follow = encoder.data_elsewhere(length as u64)?;
            }
            encoder.end(&mut out)?;
            // Nothing was wrong with it: from here on the response is on its way.
            this.encoder = encoder;
            (
                this.output.as_ref().map(|output| output.handle(py)),
                chunks_follow,
            )
        };
        if let Some(output) = output {
            let mut queued = output.send(py, &out)?;
            if chunks_follow {
                for chunk in chunks {
                    output.send_object(py, &chunk)?;
                }
                queued = true;
            }
            Self::note_queued(slf, queued)?;
        }
        Self::end_exchange(slf)
    }

    /// Send the head of a response, and the first piece of its body if there is one.
    #[pyo3(signature = (status, reason, headers, chunk=None))]
    fn send_head(
        slf: &Bound<'_, Self>,
        status: u16,
        reason: &Bound<'_, PyString>,
        headers: &Bound<'_, PyHeaders>,
        chunk: Option<&[u8]>,
    ) -> PyResult<()> {
        let mut out = Vec::with_capacity(512 + chunk.map_or(0, <[u8]>::len));
        {
            let mut this = slf.borrow_mut();
            if this.is_gone() {
                return Ok(());
            }
            let reason = to_latin1(reason)?;
            let mut encoder = this.encoder;
            encoder.response(&mut out, status, &reason, &headers.borrow().inner)?;
            if let Some(chunk) = chunk {
                encoder.data(&mut out, chunk)?;
            }
            // Nothing was wrong with it: from here on the head is on its way.
            this.encoder = encoder;
        }
        Self::write_bytes(slf, &out)
    }

    /// Send a piece of the body.
    fn send_data(slf: &Bound<'_, Self>, chunk: &[u8]) -> PyResult<()> {
        let mut out = Vec::with_capacity(chunk.len() + 16);
        if slf.borrow().is_gone() {
            return Ok(());
        }
        slf.borrow_mut().encoder.data(&mut out, chunk)?;
        if out.is_empty() {
            Ok(())
        } else {
            Self::write_bytes(slf, &out)
        }
    }

    /// Send bytes that are no part of a response, as they are, in their order.
    fn _send_raw(slf: &Bound<'_, Self>, data: &[u8]) -> PyResult<()> {
        Self::write_bytes(slf, data)
    }

    /// Account for so many bytes of body that are sent past this object; whether to send them.
    fn _data_elsewhere(&mut self, length: u64) -> PyResult<bool> {
        Ok(self.encoder.data_elsewhere(length)?)
    }

    /// Send the end of the response.
    fn send_end(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.borrow().is_gone() {
            return Ok(());
        }
        let mut out = Vec::new();
        let ended = slf.borrow_mut().encoder.end(&mut out);
        if !out.is_empty() {
            Self::write_bytes(slf, &out)?;
        }
        if let Err(error) = ended {
            slf.borrow_mut().deaf = true;
            slf.call_method0("abort")?;
            return Err(error.into());
        }
        Self::end_exchange(slf)
    }

    /// Take the connection away from HTTP: the bytes that have come behind the request.
    fn _detach(&mut self) -> PyResult<Vec<u8>> {
        if self.transport.is_none() {
            return Err(PyRuntimeError::new_err("the connection is closed"));
        }
        self.deaf = true;
        self.exchange = false;
        self.request = None;
        self.sink = None;
        self.close_callback = None;
        self.output = None;
        self.transport = None;
        let unread = std::mem::take(&mut self.unread);
        Ok(unread.buffer[unread.start..].to_vec())
    }

    /// The client broke a rule that the core does not know: answer so, and close.
    #[pyo3(name = "reject")]
    fn reject_request(slf: &Bound<'_, Self>, status: u16, message: &str) -> PyResult<()> {
        Self::reject(slf, status, message)
    }

    /// Call this when the client closes before the response is complete; None forgets it.
    fn set_close_callback(&mut self, callback: Option<Py<PyAny>>) {
        self.close_callback = callback.filter(|_| self.exchange);
    }

    /// The application has raised this somewhere else than in a call from here.
    #[pyo3(name = "_failed")]
    fn failed(slf: &Bound<'_, Self>, error: Bound<'_, PyAny>) -> PyResult<()> {
        Self::application_failed(slf, &PyErr::from_value(error))
    }

    /// Allow this request's body so many bytes, and those after it.
    fn set_max_body_size(&mut self, max_body_size: u64) {
        self.decoder.set_max_body_size(max_body_size);
    }

    /// How many bytes this request's body may have.
    #[getter]
    fn max_body_size(&self) -> u64 {
        self.decoder.max_body_size()
    }

    /// Allow this request's body so many seconds from now.
    fn set_body_timeout(slf: &Bound<'_, Self>, timeout: f64) -> PyResult<()> {
        slf.borrow_mut().body_timeout = timeout;
        if slf.borrow().phase == Phase::Body {
            Self::enter(slf, Phase::Body, timeout)
        } else {
            Ok(())
        }
    }

    /// Close behind this response instead of keeping the connection.
    fn close_after_response(&mut self) {
        self.encoder.close_after();
    }

    /// The asyncio transport, None once the connection is gone.
    #[getter]
    fn transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.transport
            .as_ref()
            .map(|transport| transport.clone_ref(py))
    }

    /// Whether a request is being received or answered.
    #[getter]
    fn is_busy(&self) -> bool {
        self.exchange || self.phase == Phase::Head
    }
}
