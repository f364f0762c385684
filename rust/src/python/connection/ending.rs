//! How requests and connections end, well or not.

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;

use super::{Phase, ServerConnection, Slf, Unread, monotonic};
use crate::http1::Error;
use crate::python::errors::exception;

/// How long a connection that is done for may go on sending (nginx: `lingering_timeout` 5 s).
const LINGER_SECONDS: f64 = 5.0;

impl ServerConnection {
    /// What came is against the rules: say so, as far as it can still be said, and close.
    pub(super) fn fail(slf: Slf<'_, '_>, error: Error) -> PyResult<()> {
        Self::reject(slf, error.status(), error.message())
    }

    pub(super) fn reject(slf: Slf<'_, '_>, status: u16, message: &str) -> PyResult<()> {
        let can_answer = {
            let mut this = slf.borrow_mut();
            let begun = this.exchange && !this.encoder.expects_head();
            if !begun {
                this.encoder.answer_malformed();
                this.exchange = true;
            }
            !begun
        };
        Self::notify_closed(slf)?;
        slf.borrow_mut().deaf = true;
        slf.call_method1(intern!(slf.py(), "_reject"), (status, message, can_answer))?;
        Ok(())
    }

    /// The application's callable or delegate raised.
    pub(super) fn application_failed(slf: Slf<'_, '_>, error: &PyErr) -> PyResult<()> {
        let py = slf.py();
        if error.is_instance_of::<PySystemExit>(py)
            || error.is_instance_of::<PyKeyboardInterrupt>(py)
        {
            // They are for whoever runs the event loop.
            return Err(error.clone_ref(py));
        }
        let can_answer = slf.borrow().exchange && slf.borrow().encoder.expects_head();
        slf.borrow_mut().encoder.close_after();
        slf.call_method1(
            intern!(slf.py(), "_application_failed"),
            (exception(slf.py(), error)?, can_answer),
        )?;
        Ok(())
    }

    /// Tell a delegate that the rest of its message will not come.
    pub(super) fn close_sink(slf: Slf<'_, '_>, sink: &Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        match sink.call_method0(py, intern!(py, "on_connection_close")) {
            Ok(_) => Ok(()),
            Err(error) => Self::application_failed(slf, &error),
        }
    }

    /// Tell whoever works on the request that the client has gone.
    pub(super) fn notify_closed(slf: Slf<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let (callback, sink) = {
            let mut this = slf.borrow_mut();
            (this.close_callback.take(), this.sink.take())
        };
        let results = [
            callback.map(|callback| callback.bind(py).call0().map(drop)),
            sink.map(|sink| {
                sink.bind(py)
                    .call_method0(intern!(py, "on_connection_close"))
                    .map(drop)
            }),
        ];
        for error in results.into_iter().flatten().filter_map(Result::err) {
            slf.call_method1(
                intern!(py, "_application_failed"),
                (exception(py, &error)?, false),
            )?;
        }
        Ok(())
    }

    /// The response is complete.
    pub(super) fn end_exchange(slf: Slf<'_, '_>) -> PyResult<()> {
        let (sink, ready, deaf, pumping, unread) = {
            let mut this = slf.borrow_mut();
            this.exchange = false;
            this.request = None;
            this.close_callback = None;
            this.body = Vec::new();
            let sink = this.sink.take();
            (
                sink.filter(|_| this.body_pending),
                this.decoder.is_done(),
                this.deaf,
                this.pumping,
                this.unread.len(),
            )
        };
        if let Some(sink) = sink {
            Self::close_sink(slf, &sink)?;
        }
        if deaf {
            return Self::linger(slf);
        }
        if ready {
            return Self::next_message(slf);
        }
        // Unread body: the pump throws away what is here already and then lingers.
        match (pumping, unread) {
            (true, _) => Ok(()),
            (false, 0) => Self::linger(slf),
            (false, _) => Self::pump_soon(slf),
        }
    }

    pub(super) fn pump_soon(slf: Slf<'_, '_>) -> PyResult<()> {
        slf.call_method0(intern!(slf.py(), "_pump_soon")).map(drop)
    }

    /// Request and response are both complete: go on with the next pair, or close.
    pub(super) fn next_message(slf: Slf<'_, '_>) -> PyResult<()> {
        let (go_on, pump) = {
            let mut this = slf.borrow_mut();
            // While the pump runs, it has the unread input.
            let at_end = this.eof && !this.pumping && this.unread.len() == 0;
            let go_on = this.encoder.keep_alive() && !at_end;
            if go_on {
                this.decoder.next_message();
                this.phase = Phase::Idle;
                let idle_timeout = this.settings.get().idle_timeout;
                this.deadline = monotonic() + idle_timeout;
            } else {
                this.deaf = true;
            }
            (go_on, !this.pumping && this.unread.len() > 0)
        };
        if !go_on {
            return slf.call_method0(intern!(slf.py(), "close")).map(drop);
        }
        if pump {
            return Self::pump_soon(slf);
        }
        Self::resume_reading(slf)
    }

    /// Send no more, and let the client read what we said before the connection goes: closing on
    /// a client that is still sending would reset it and destroy the response (RFC 9112 §9.6).
    pub(super) fn linger(slf: Slf<'_, '_>) -> PyResult<()> {
        {
            let mut this = slf.borrow_mut();
            this.deaf = true;
            this.unread = Unread::default();
        }
        let Some(transport) = Self::transport_of(slf) else {
            return Ok(());
        };
        if slf.borrow().eof {
            return slf.call_method0(intern!(slf.py(), "close")).map(drop);
        }
        if transport.call_method0("can_write_eof")?.is_truthy()?
            && !transport.call_method0("is_closing")?.is_truthy()?
        {
            transport.call_method0("write_eof")?;
        }
        Self::resume_reading(slf)?;
        Self::enter(slf, Phase::Linger, LINGER_SECONDS)
    }
}
