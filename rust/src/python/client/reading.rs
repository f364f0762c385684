//! Where the bytes of connections are received: into one buffer for all those of a thread.
//!
//! A protocol without a buffer gets a new bytes object with each read, for which event loops
//! reserve 256 KiB: for a small response, that costs more than all else. A loop asks for the
//! buffer, fills it and tells of it without doing anything else in between, and what is not done
//! with then is copied; so an idle connection has none.
#![allow(unsafe_code)]

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyMemoryView};

/// Bytes that are received at once, at most: as in asyncio, and enough for what lies in a socket.
const SIZE: usize = 256 * 1024;

thread_local! {
    /// The buffer, while nobody works on what is in it.
    static FREE: Cell<Option<ReadBuffer>> = const { Cell::new(None) };
}

/// Memory to be read into.
pub struct ReadBuffer {
    memory: Py<PyByteArray>,
    /// All of it; as long as this is there, it stays where it is.
    view: Py<PyMemoryView>,
}

impl ReadBuffer {
    /// Where the thread reads to.
    pub fn view(py: Python<'_>) -> PyResult<Py<PyMemoryView>> {
        let buffer = match FREE.take() {
            Some(buffer) => buffer,
            None => {
                let memory = PyByteArray::new_with(py, SIZE, |_| Ok(()))?;
                let view = PyMemoryView::from(&memory)?.unbind();
                let memory = memory.unbind();
                Self { memory, view }
            }
        };
        let view = buffer.view.clone_ref(py);
        buffer.give_back();
        Ok(view)
    }

    /// Take the buffer, to work on what has been read: should anything be read meanwhile, it goes
    /// to another one.
    pub fn take() -> Option<Self> {
        FREE.take()
    }

    /// What has been read.
    pub fn bytes<'a>(&'a self, py: Python<'a>, count: usize) -> &'a [u8] {
        // SAFETY: the view keeps the memory in its place. It is written to only where `view` has
        // been asked for it, and that is given another buffer until this one is given back.
        let bytes = unsafe { self.memory.bind(py).as_bytes() };
        bytes.get(..count).unwrap_or(bytes)
    }

    /// Done with it.
    pub fn give_back(self) {
        FREE.set(Some(self));
    }
}
