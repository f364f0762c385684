//! What goes: requests, whole or piece by piece.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::{ClientConnection, Collector, Exchange, Received, Slf};
use crate::python::headers::PyHeaders;
use crate::python::text::to_latin1;

/// Bodies above this go to the transport as they are; smaller ones join the head in one buffer.
const COPY_LIMIT: usize = 32 * 1024;

/// What a request consists of.
pub(super) struct Outgoing<'a, 'py> {
    pub method: &'a Bound<'py, PyString>,
    pub target: &'a Bound<'py, PyString>,
    pub headers: &'a Bound<'py, PyHeaders>,
    pub body: Option<&'a Bound<'py, PyBytes>>,
    /// More of the body follows, or all of it.
    pub has_more: bool,
}

impl ClientConnection {
    /// Send a request, or its beginning. What is wrong with it is noticed before any of it is sent.
    pub(super) fn begin(
        slf: Slf<'_, '_>,
        outgoing: &Outgoing<'_, '_>,
        waiter: Py<PyAny>,
        delegate: Option<Py<PyAny>>,
        streams: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        let body = outgoing.body.map(|body| body.as_bytes());
        let length = body.map_or(0, <[u8]>::len);
        let copied = if length <= COPY_LIMIT { length } else { 0 };
        let mut out = Vec::with_capacity(512 + copied);
        let mut follows = false;
        let output = {
            let mut this = slf.borrow_mut();
            let method = to_latin1(outgoing.method)?;
            let mut encoder = this.encoder;
            encoder.request(
                &mut out,
                &method,
                &to_latin1(outgoing.target)?,
                &outgoing.headers.borrow().inner,
            )?;
            if let Some(body) = body {
                if length <= COPY_LIMIT || encoder.is_chunked() {
                    encoder.data(&mut out, body)?;
                } else {
                    follows = encoder.data_elsewhere(length as u64)?;
                }
            }
            if !outgoing.has_more {
                encoder.end(&mut out)?;
            }
            // Nothing was wrong with it: from here on the request is on its way.
            this.encoder = encoder;
            this.persistent = this.persistent && encoder.keep_alive();
            this.decoder.next_message();
            this.decoder.set_request_method(&method);
            this.exchange = Some(Exchange {
                waiter,
                delegate,
                streams,
                head: None,
                body: Collector::default(),
            });
            this.received = Received::Nothing;
            this.informational = 0;
            this.output.as_ref().map(|output| output.handle(py))
        };
        if let Some(output) = output {
            let mut queued = output.send(py, &out)?;
            if let Some(body) = outgoing.body.filter(|_| follows) {
                output.send_object(py, body)?;
                queued = true;
            }
            Self::note_queued(slf, queued);
        }
        Ok(())
    }

    /// Send more of the body. Small pieces are framed in one buffer, others go as they are.
    pub(super) fn send_content(slf: Slf<'_, '_>, chunk: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = slf.py();
        let data = chunk.as_bytes();
        let mut out = Vec::new();
        let (output, goes) = {
            let mut this = slf.borrow_mut();
            let goes = if this.encoder.is_chunked() {
                out.reserve(data.len() + 16);
                this.encoder.data(&mut out, data)?;
                false
            } else {
                this.encoder.data_elsewhere(data.len() as u64)? && !data.is_empty()
            };
            (this.output.as_ref().map(|output| output.handle(py)), goes)
        };
        let Some(output) = output else {
            return Ok(());
        };
        if goes && data.len() > COPY_LIMIT {
            output.send_object(py, chunk)?;
            Self::note_queued(slf, true);
        } else {
            let data = if goes { data } else { &out };
            if !data.is_empty() {
                let queued = output.send(py, data)?;
                Self::note_queued(slf, queued);
            }
        }
        Ok(())
    }

    /// Send the end of the body.
    pub(super) fn send_content_end(slf: Slf<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let mut out = Vec::new();
        let output = {
            let mut this = slf.borrow_mut();
            this.encoder.end(&mut out)?;
            this.output.as_ref().map(|output| output.handle(py))
        };
        if let Some(output) = output.filter(|_| !out.is_empty()) {
            let queued = output.send(py, &out)?;
            Self::note_queued(slf, queued);
        }
        Ok(())
    }

    /// Remember whether the transport may have something to send.
    fn note_queued(slf: Slf<'_, '_>, queued: bool) {
        if let Some(output) = &mut slf.borrow_mut().output {
            output.queued = queued;
        }
    }
}
