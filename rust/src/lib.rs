//! The native core of Typhoon: HTTP and WebSocket without input and output.
//!
//! Bytes in, events out; events in, bytes out. Every module here is plain Rust without a Python
//! type in it, opens no socket and reads no clock. Only `python` (feature `python`) knows
//! CPython: it wraps the others as the module `typhoon._core`.
#![deny(unsafe_code)]

#[forbid(unsafe_code)]
pub mod escape;
#[forbid(unsafe_code)]
pub mod etag;
#[forbid(unsafe_code)]
pub mod forms;
#[forbid(unsafe_code)]
pub mod headers;
#[forbid(unsafe_code)]
pub mod http1;
#[forbid(unsafe_code)]
pub mod routes;
#[forbid(unsafe_code)]
pub mod template;
#[forbid(unsafe_code)]
pub mod websocket;

#[cfg(feature = "python")]
mod python;
