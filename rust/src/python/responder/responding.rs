//! How a response is made and sent.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::super::connection::ServerConnection;
use super::super::digest::tag_of;
use super::super::headers::DefaultHeaders;
use super::super::hooks::Hooks;
use super::super::request::Request;
use super::{Responder, Slf, ok_status};

impl Responder {
    pub(super) fn set_up(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        if hooks.any(Hooks::CLEAR) {
            slf.call_method0(intern!(slf.py(), "clear")).map(drop)
        } else {
            Self::reset(slf, hooks)
        }
    }

    pub(super) fn reset(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let py = slf.py();
        let headers = DefaultHeaders::of_responses(py)?;
        {
            let mut this = slf.borrow_mut();
            this.headers = Some(headers.into_any());
            this.write_buffer = PyList::empty(py).unbind();
            this.status_code = ok_status(py);
            this.reason = intern!(py, "OK").clone().into_any().unbind();
        }
        if hooks.any(Hooks::SET_DEFAULT_HEADERS) {
            slf.call_method0(intern!(py, "set_default_headers"))?;
        }
        Ok(())
    }

    pub(super) fn own_tag(slf: Slf<'_, '_>) -> PyResult<[u8; 34]> {
        tag_of(slf.borrow().write_buffer.bind(slf.py()))
    }

    /// Whether the request method is GET or HEAD.
    fn is_retrieval(request: &Bound<'_, PyAny>) -> PyResult<bool> {
        let method = Request::method_of(request)?;
        Ok(matches!(method.to_str()?, "GET" | "HEAD"))
    }

    /// Give a response to GET or HEAD its tag, and make it a 304 if the client has it already.
    fn validate(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let py = slf.py();
        let not_modified = if hooks.any(Hooks::ETAG) {
            slf.call_method0(intern!(py, "set_etag_header"))?;
            slf.call_method0(intern!(py, "check_etag_header"))?
                .is_truthy()?
        } else {
            Self::set_etag_header(slf)?;
            Self::check_etag_header(slf)?
        };
        if not_modified {
            slf.borrow_mut().write_buffer = PyList::empty(py).unbind();
            slf.call_method1(intern!(py, "set_status"), (304,))?;
        }
        Ok(())
    }

    /// Send what is there as a whole response.
    fn respond(slf: Slf<'_, '_>, hooks: Hooks, connection: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let mut status = Self::status(slf)?;
        if status == 200 && Self::is_retrieval(&Self::request_of(slf)?)? {
            Self::validate(slf, hooks)?;
            status = Self::status(slf)?;
        }
        if matches!(status, 204 | 304 | 100..=199) {
            if !slf.borrow().write_buffer.bind(py).is_empty() {
                return Err(PyRuntimeError::new_err(format!(
                    "Cannot send body with {status}"
                )));
            }
            slf.call_method0(intern!(py, "_clear_representation_headers"))?;
        }
        if slf.borrow().transforms.is_some() {
            slf.call_method0(intern!(py, "_transform_whole"))?;
            status = Self::status(slf)?;
        }
        if slf.borrow().new_cookies.is_some() {
            slf.call_method0(intern!(py, "_add_cookies"))?;
        }
        let headers = Self::headers_of(slf)?;
        let (reason, chunks) = {
            let this = slf.borrow();
            (
                this.reason.bind(py).clone(),
                this.write_buffer.bind(py).clone(),
            )
        };
        match connection.cast::<ServerConnection>() {
            Ok(connection) => {
                ServerConnection::respond(connection, status, reason.cast()?, &headers, &chunks)?;
            }
            Err(_) => {
                let arguments = (status, reason, headers, chunks);
                connection.call_method1(intern!(py, "respond"), arguments)?;
            }
        }
        // Not before: what cannot be sent as it is becomes an error page.
        slf.borrow_mut().headers_written = true;
        Ok(())
    }

    /// End the response; `finish` without what its callers may leave out.
    pub(super) fn end(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let py = slf.py();
        let connection = Request::connection_of(&Self::request_of(slf)?)?;
        if slf.borrow().headers_written {
            slf.call_method1(intern!(py, "flush"), (true,))?;
            connection.call_method0(intern!(py, "finish"))?;
        } else {
            Self::respond(slf, hooks, &connection)?;
        }
        slf.borrow_mut().finished = true;
        if hooks.any(Hooks::LOG) {
            slf.call_method0(intern!(py, "_log"))?;
        } else {
            Self::_log(slf)?;
        }
        slf.call_method0(intern!(py, "on_finish")).map(drop)
    }

    pub(super) fn end_automatically(slf: Slf<'_, '_>, hooks: Hooks) -> PyResult<()> {
        let wanted = if hooks.any(Hooks::AUTO_FINISH) {
            slf.getattr(intern!(slf.py(), "_auto_finish"))?
                .is_truthy()?
        } else {
            slf.borrow().auto_finish
        };
        if !wanted || slf.borrow().finished {
            Ok(())
        } else if hooks.any(Hooks::FINISH) {
            slf.call_method0(intern!(slf.py(), "finish")).map(drop)
        } else {
            Self::end(slf, hooks)
        }
    }
}
