//! UTF-8 that comes masked, or in pieces.

use super::mask::{Key, mask};

/// How much of a masked text is unmasked at a time.
const PIECE: usize = 4096;

/// Most texts are not longer.
const SHORT: usize = 128;

/// Whether this is UTF-8 below its mask. O(n), without a copy of the whole.
#[must_use]
pub fn is_text(data: &[u8], key: Option<Key>) -> bool {
    let Some(key) = key else {
        return simdutf8::basic::from_utf8(data).is_ok();
    };
    if data.len() <= SHORT {
        let mut buffer = [0; SHORT];
        let unmasked = &mut buffer[..data.len()];
        unmasked.copy_from_slice(data);
        mask(unmasked, key, 0);
        return simdutf8::basic::from_utf8(unmasked).is_ok();
    }
    let mut buffer = [0; PIECE];
    let mut validator = Utf8Validator::default();
    data.chunks(PIECE).all(|piece| {
        let unmasked = &mut buffer[..piece.len()];
        unmasked.copy_from_slice(piece);
        // The key repeats itself in step with the pieces.
        mask(unmasked, key, 0);
        validator.check(unmasked)
    }) && validator.finish()
}

/// Checks text that comes in pieces, each byte once; a bad byte is found in the piece that has it.
///
/// It keeps the bytes of a character that is not complete yet: three at most.
#[derive(Debug, Default, Clone)]
pub struct Utf8Validator {
    pending: [u8; 4],
    length: usize,
}

impl Utf8Validator {
    /// Check the next piece. False if the text cannot be UTF-8 any more. O(n).
    #[must_use]
    pub fn check(&mut self, mut data: &[u8]) -> bool {
        while self.length > 0 {
            let Some((&byte, rest)) = data.split_first() else {
                return true;
            };
            data = rest;
            self.pending[self.length] = byte;
            self.length += 1;
            match std::str::from_utf8(&self.pending[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match simdutf8::compat::from_utf8(data) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let tail = &data[error.valid_up_to()..];
                self.length = tail.len();
                self.pending[..tail.len()].copy_from_slice(tail);
                true
            }
        }
    }

    /// The text ends here: whether its last character is complete. Ready for the next text.
    #[must_use]
    pub fn finish(&mut self) -> bool {
        std::mem::take(&mut self.length) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The place of the first bad byte, None if there is none; whether the end is missing.
    fn first_bad(data: &[u8]) -> (Option<usize>, bool) {
        match std::str::from_utf8(data) {
            Ok(_) => (None, false),
            Err(error) => match error.error_len() {
                // The error is seen at the byte that cannot go on, or at the first one.
                Some(length) => (Some(error.valid_up_to() + length), false),
                None => (None, true),
            },
        }
    }

    fn almost_text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => proptest::collection::vec(any::<u8>(), 1..3),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn is_seen_below_a_mask(data in almost_text(), times in 1usize..300, key: Key) {
            let mut data = data.repeat(times);
            let valid = std::str::from_utf8(&data).is_ok();
            prop_assert_eq!(is_text(&data, None), valid);
            mask(&mut data, key, 0);
            prop_assert_eq!(is_text(&data, Some(key)), valid);
        }

        #[test]
        fn agrees_with_the_standard_library(data in almost_text(), size in 1usize..7) {
            let (bad, cut) = first_bad(&data);
            let mut validator = Utf8Validator::default();
            let mut seen = 0;
            let mut valid = true;
            for piece in data.chunks(size) {
                seen += piece.len();
                valid = validator.check(piece);
                if !valid {
                    break;
                }
            }
            match bad {
                Some(place) => {
                    prop_assert!(!valid);
                    // In the piece that has the bad byte, not later.
                    prop_assert!(seen <= place + size);
                }
                None => {
                    prop_assert!(valid);
                    prop_assert_eq!(validator.finish(), !cut);
                }
            }
        }
    }
}
