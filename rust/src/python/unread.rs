//! Bytes that have come and are not done with.

/// Bytes that have come and are not done with. Appending is amortised O(1), consuming too:
/// the front is cut off only once it is the larger half. Bounded by what the decoder leaves over
/// (a head, a trailer section) and by `UNREAD_LIMIT` plus one read while a handler works.
#[derive(Default)]
pub struct Unread {
    pub buffer: Vec<u8>,
    pub start: usize,
}

impl Unread {
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.buffer.len() {
            // An idle connection keeps no buffer.
            *self = Self::default();
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }
}
