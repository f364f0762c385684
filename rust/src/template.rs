//! The output of a template while it is rendered: one buffer of UTF-8.
//!
//! Appending takes time linear in what is appended, since the buffer grows by doubling; it starts
//! at the size that the caller expects.

use crate::escape::xhtml_escape_into;

/// The largest buffer that is made on an expectation alone.
const MAX_EXPECTED: usize = 1024 * 1024;

/// What has been rendered so far.
#[derive(Default)]
pub struct Output {
    buffer: Vec<u8>,
}

impl Output {
    /// An empty output, with room for as much as is expected.
    #[must_use]
    pub fn new(expected: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(expected.min(MAX_EXPECTED)),
        }
    }

    /// Appends text as it is.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.buffer.extend_from_slice(text);
    }

    /// Appends text with `&`, `<`, `>`, `"` and `'` replaced.
    #[inline]
    pub fn push_escaped(&mut self, text: &[u8]) {
        xhtml_escape_into(&mut self.buffer, text);
    }

    /// Appends a number in decimals.
    #[inline]
    pub fn push_integer(&mut self, number: i64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    /// What has been rendered; nothing is kept.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::xhtml_escape;
    use proptest::prelude::*;

    #[test]
    fn appends_in_order() {
        let mut output = Output::new(4);
        output.push(b"<b>");
        output.push_escaped(b"a<b");
        output.push_integer(i64::MIN);
        output.push_escaped(b"");
        assert_eq!(output.take(), b"<b>a&lt;b-9223372036854775808");
        assert_eq!(output.take(), b"");
    }

    #[test]
    fn expects_no_more_than_is_sensible() {
        assert!(Output::new(usize::MAX).buffer.capacity() <= 2 * MAX_EXPECTED);
    }

    proptest! {
        #[test]
        fn escapes_like_the_function(parts: Vec<Vec<u8>>) {
            let mut output = Output::default();
            let mut expected = Vec::new();
            for part in &parts {
                output.push_escaped(part);
                expected.extend_from_slice(&xhtml_escape(part));
            }
            prop_assert_eq!(output.take(), expected);
        }
    }
}
