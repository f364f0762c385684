//! What comes in: from bytes to requests that the application gets.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Phase, ServerConnection, Slf, UNREAD_LIMIT};
use crate::http1::{BodyLength, Event, Head};
use crate::python::buffers;
use crate::python::request::Request;
use crate::python::transport;

/// What is reserved for a body on the word of its Content-Length alone.
const BODY_RESERVE: u64 = 1024 * 1024;

/// Why the pump has stopped.
pub(super) enum Pumped {
    /// There is nothing to go on with for now.
    All,
    /// Something for the application, which may take the connection over: give it that once what
    /// is behind it lies where `_detach` finds it.
    Head(Box<Head>),
    End,
}

impl ServerConnection {
    /// Work through `input` as far as it goes; how much of it is done with, and why it ends there.
    pub(super) fn pump(slf: Slf<'_, '_>, input: &[u8]) -> PyResult<(usize, Pumped)> {
        let mut position = 0;
        loop {
            let decoded = {
                let mut this = slf.borrow_mut();
                if this.is_blocked() {
                    let done = if this.deaf { input.len() } else { position };
                    return Ok((done, Pumped::All));
                }
                // A sink gets no more at a time than it has asked for.
                let most = match &this.sink {
                    Some(_) => this.settings.get().chunk_size,
                    None => usize::MAX,
                };
                this.decoder.decode_up_to(&input[position..], most)
            };
            let (consumed, event) = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    Self::fail(slf, error)?;
                    return Ok((input.len(), Pumped::All));
                }
            };
            position += consumed;
            let more = position < input.len();
            match event {
                Event::NeedMore => {
                    Self::wait_for_more(slf, more)?;
                    return Ok((position, Pumped::All));
                }
                Event::Head(head) if more && Self::is_heard_at_head(slf, &head) => {
                    return Ok((position, Pumped::Head(head)));
                }
                Event::End(_) if more => return Ok((position, Pumped::End)),
                Event::Head(head) => Self::begin(slf, head)?,
                Event::Data(data) => Self::receive(slf, data)?,
                Event::End(_) => Self::complete(slf)?,
            }
        }
    }

    /// Work through new data and what was left over before it.
    pub(super) fn feed(slf: Slf<'_, '_>, mut data: &[u8]) -> PyResult<()> {
        loop {
            let mut unread = {
                let mut this = slf.borrow_mut();
                this.pumping = true;
                std::mem::take(&mut this.unread)
            };
            let pumped = if unread.len() == 0 {
                Self::pump(slf, data).inspect(|&(consumed, _)| {
                    if consumed < data.len() {
                        unread.buffer = data[consumed..].to_vec();
                    }
                })
            } else {
                unread.buffer.extend_from_slice(data);
                Self::pump(slf, &unread.buffer[unread.start..])
                    .inspect(|&(consumed, _)| unread.consume(consumed))
            };
            if unread.len() > 0 {
                slf.borrow_mut().unread = unread;
            }
            let more = match pumped {
                Ok((_, Pumped::Head(head))) => Self::begin(slf, head).map(|()| true),
                Ok((_, Pumped::End)) => Self::complete(slf).map(|()| true),
                Ok((_, Pumped::All)) => Ok(false),
                Err(error) => Err(error),
            };
            slf.borrow_mut().pumping = false;
            if more? && !slf.borrow().is_blocked() {
                data = b"";
                continue;
            }
            if slf.borrow().unread.len() > UNREAD_LIMIT {
                Self::pause_reading(slf)?;
            }
            return Ok(());
        }
    }

    pub(super) fn pause_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        if slf.borrow().reading_paused || !slf.borrow().is_blocked() {
            return Ok(());
        }
        if let Some(transport) = Self::transport_of(slf) {
            slf.borrow_mut().reading_paused = true;
            transport.call_method0(intern!(slf.py(), "pause_reading"))?;
        }
        Ok(())
    }

    pub(super) fn resume_reading(slf: Slf<'_, '_>) -> PyResult<()> {
        if !std::mem::take(&mut slf.borrow_mut().reading_paused) {
            return Ok(());
        }
        match Self::transport_of(slf) {
            Some(transport) => transport::resume_reading(&transport),
            None => Ok(()),
        }
    }

    /// Whether the application is told of a head before the rest of its request has come.
    fn is_heard_at_head(slf: Slf<'_, '_>, head: &Head) -> bool {
        slf.borrow().settings.get().on_head_of(head.body).is_some()
    }

    /// The head of a request has come.
    pub(super) fn begin(slf: Slf<'_, '_>, head: Box<Head>) -> PyResult<()> {
        let py = slf.py();
        let body = head.body;
        let on_head = {
            let mut this = slf.borrow_mut();
            this.encoder.answer(&head);
            let settings = this.settings.clone_ref(py);
            let settings = settings.get();
            if !settings.keep_alive {
                this.encoder.close_after();
            }
            this.decoder
                .set_max_body_size(settings.limits.max_body_size);
            this.body_timeout = settings.body_timeout;
            this.exchange = true;
            this.body_pending = body != BodyLength::Exact(0);
            this.expects_continue = head.expects_continue && this.body_pending;
            settings
                .on_head_of(body)
                .map(|on_head| on_head.clone_ref(py))
        };
        let request = Py::new(
            py,
            Request::received(py, head, slf.clone().into_any().unbind()),
        )?;
        slf.borrow_mut().request = Some(request.clone_ref(py));
        if body != BodyLength::Exact(0) {
            let seconds = slf.borrow().body_timeout;
            Self::enter(slf, Phase::Body, seconds)?;
        }
        if let Some(on_head) = on_head {
            match on_head.bind(py).call1((request,)) {
                Ok(sink) if sink.is_none() => {}
                Ok(sink) => {
                    let mut this = slf.borrow_mut();
                    if this.exchange {
                        this.sink = Some(sink.unbind());
                    }
                }
                Err(error) => Self::application_failed(slf, &error)?,
            }
        }
        Ok(())
    }

    /// A piece of the body has come.
    pub(super) fn receive(slf: Slf<'_, '_>, data: &[u8]) -> PyResult<()> {
        let py = slf.py();
        let sink = {
            let mut this = slf.borrow_mut();
            this.expects_continue = false;
            if !this.exchange {
                return Ok(());
            }
            match &this.sink {
                Some(sink) => sink.clone_ref(py),
                None => {
                    if this.body.capacity() == 0 {
                        let expected = this.decoder.remaining().min(BODY_RESERVE) as usize;
                        this.body = buffers::take(expected + data.len());
                    }
                    this.body.extend_from_slice(data);
                    return Ok(());
                }
            }
        };
        match sink
            .bind(py)
            .call_method1(intern!(py, "data_received"), (PyBytes::new(py, data),))
        {
            Ok(awaitable) if awaitable.is_none() => Ok(()),
            Ok(awaitable) => {
                slf.call_method1(intern!(py, "hold"), (awaitable,))?;
                Ok(())
            }
            Err(error) => Self::application_failed(slf, &error),
        }
    }

    /// All of the request has come.
    pub(super) fn complete(slf: Slf<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let (request, sink, settings) = {
            let mut this = slf.borrow_mut();
            this.body_pending = false;
            this.expects_continue = false;
            this.phase = Phase::Handler;
            this.deadline = f64::INFINITY;
            let body = std::mem::take(&mut this.body);
            let request = this.request.as_ref().map(|request| request.clone_ref(py));
            if let Some(request) = request.as_ref().filter(|_| !body.is_empty()) {
                request.bind(py).borrow_mut().receive_body(body);
            }
            let sink = this.sink.as_ref().map(|sink| sink.clone_ref(py));
            (request, sink, this.settings.clone_ref(py))
        };
        let Some(request) = request else {
            // The response was complete before the request was.
            return Self::next_message(slf);
        };
        let result = match sink {
            Some(sink) => sink.bind(py).call_method0(intern!(py, "finish")),
            None => settings.get().on_request.bind(py).call1((request,)),
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => Self::application_failed(slf, &error),
        }
    }

    /// All input has been worked through.
    pub(super) fn wait_for_more(slf: Slf<'_, '_>, partial: bool) -> PyResult<()> {
        let (in_body, exchange, expects_continue, phase, eof) = {
            let this = slf.borrow();
            let expects = this.expects_continue && this.encoder.expects_head();
            (
                this.decoder.in_body(),
                this.exchange,
                expects,
                this.phase,
                this.eof,
            )
        };
        if in_body {
            if !exchange {
                return Self::linger(slf);
            }
            if eof {
                return slf.call_method0("close").map(drop);
            }
            if expects_continue {
                slf.borrow_mut().expects_continue = false;
                return Self::write_bytes(slf, b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        } else if eof {
            return slf.call_method0("close").map(drop);
        } else if partial && phase == Phase::Idle {
            let seconds = slf.borrow().settings.get().header_timeout;
            return Self::enter(slf, Phase::Head, seconds);
        }
        Ok(())
    }
}
