//! The buffer of the last large body, kept for the next one.
//!
//! The system's allocator gives large blocks back to the kernel as they are freed, so that each
//! upload would pay for the same pages again, and pay more than for copying the body.

use std::cell::Cell;

/// Smaller buffers stay with the allocator anyway.
const MIN: usize = 64 * 1024;

/// What a thread keeps at most.
const MAX: usize = 4 * 1024 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer with room for so many bytes.
pub fn take(capacity: usize) -> Vec<u8> {
    let mut buffer = if capacity >= MIN {
        SPARE.take()
    } else {
        Vec::new()
    };
    buffer.reserve_exact(capacity);
    buffer
}

/// The buffer is not needed any more.
pub fn put(mut buffer: Vec<u8>) {
    if (MIN..=MAX).contains(&buffer.capacity()) {
        buffer.clear();
        SPARE.set(buffer);
    }
}
