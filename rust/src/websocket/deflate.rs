//! permessage-deflate (RFC 7692): what is done with the payload of a message. Its parameters have
//! been agreed upon in the opening handshake, which is the driver's.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::error::Error;

/// Every compressed message ends with an empty block, whose last bytes are left out on the wire
/// (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// By how much the buffer of a decompressed message grows at least.
const STEP: usize = 1024;

/// Decompresses messages. From the first one on it holds a window of up to 32 KiB.
pub struct Inflater {
    raw: Option<Decompress>,
    window_bits: u8,
    keeps_context: bool,
}

impl Inflater {
    /// `window_bits` is what the sender may use (8 to 15); without `keeps_context` each message
    /// stands for itself.
    #[must_use]
    pub fn new(window_bits: u8, keeps_context: bool) -> Self {
        Self {
            raw: None,
            // A window of 2^8 is one of 2^9 to zlib.
            window_bits: window_bits.clamp(9, 15),
            keeps_context,
        }
    }

    /// Append to `out` what this piece of a message decompresses to.
    ///
    /// # Errors
    /// The data is malformed, or `out` gets longer than `limit`.
    pub fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Error> {
        let raw = self
            .raw
            .get_or_insert_with(|| Decompress::new_with_window_bits(false, self.window_bits));
        loop {
            if out.len() == out.capacity() {
                // One byte more than is allowed shows that there is more.
                let room = limit.saturating_add(1) - out.len();
                out.reserve_exact(out.len().max(STEP).min(room));
            }
            let before = (raw.total_in(), out.len());
            let status = raw
                .decompress_vec(input, out, FlushDecompress::None)
                .map_err(|_| Error::Compression)?;
            let consumed =
                usize::try_from(raw.total_in() - before.0).map_err(|_| Error::Compression)?;
            input = &input[consumed..];
            if out.len() > limit {
                return Err(Error::TooBig);
            }
            if status == Status::StreamEnd {
                // A final block may come, and more behind it (RFC 7692 §7.2.3.4).
                raw.reset(false);
                if input.is_empty() {
                    return Ok(());
                }
            } else if out.len() < out.capacity() {
                // It did not stop for want of room.
                if input.is_empty() {
                    return Ok(());
                }
                if consumed == 0 && out.len() == before.1 {
                    return Err(Error::Compression);
                }
            }
        }
    }

    /// The message ends here.
    ///
    /// # Errors
    /// As `inflate`.
    pub fn finish(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), Error> {
        self.inflate(&TAIL, out, limit)?;
        if !self.keeps_context
            && let Some(raw) = &mut self.raw
        {
            raw.reset(false);
        }
        Ok(())
    }
}

/// How a message is compressed that stands for itself: `level` is 0 to 9, `window_bits` 9 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflation {
    /// More takes longer and gets smaller.
    pub level: u32,
    /// The binary logarithm of the window's size.
    pub window_bits: u8,
}

/// Compresses messages. From the first one on it holds a window and its index: up to 300 KiB.
pub struct Deflater {
    raw: Option<Compress>,
    deflation: Deflation,
    keeps_context: bool,
    /// The other side has seen a message in between: nothing before it may be referred to.
    is_stale: bool,
}

impl Deflater {
    /// `level` is 0 to 9, `window_bits` 9 to 15; without `keeps_context` each message stands for
    /// itself.
    #[must_use]
    pub fn new(level: u32, window_bits: u8, keeps_context: bool) -> Self {
        Self {
            raw: None,
            deflation: Deflation {
                level: level.min(9),
                window_bits: window_bits.clamp(9, 15),
            },
            keeps_context,
            is_stale: false,
        }
    }

    /// How a message may be compressed for this connection elsewhere.
    #[must_use]
    pub const fn deflation(&self) -> Deflation {
        self.deflation
    }

    /// A message that was compressed elsewhere is sent in between: it moves the window of the
    /// other side, so that no later message may refer to what was before it.
    pub fn forget_context(&mut self) {
        self.is_stale = self.raw.is_some();
    }

    /// The payload of a message, compressed. O(n).
    ///
    /// # Errors
    /// Never, as far as is known: compression cannot fail.
    pub fn deflate(&mut self, mut input: &[u8]) -> Result<Vec<u8>, Error> {
        let raw = self.raw.get_or_insert_with(|| {
            let level = Compression::new(self.deflation.level);
            Compress::new_with_window_bits(level, false, self.deflation.window_bits)
        });
        if std::mem::take(&mut self.is_stale) {
            raw.reset();
        }
        let mut out = Vec::with_capacity(64 + input.len() / 2);
        loop {
            if out.capacity() - out.len() < TAIL.len() + 2 {
                out.reserve(out.len().max(64));
            }
            let before = raw.total_in();
            raw.compress_vec(input, &mut out, FlushCompress::Sync)
                .map_err(|_| Error::Compression)?;
            let consumed =
                usize::try_from(raw.total_in() - before).map_err(|_| Error::Compression)?;
            input = &input[consumed..];
            if input.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if !self.keeps_context {
            raw.reset();
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inflate(inflater: &mut Inflater, data: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        inflater.inflate(data, &mut out, limit)?;
        inflater.finish(&mut out, limit)?;
        Ok(out)
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7692 §7.2.3: one block; a stored block; a final block; two blocks.
        let hello: [&[u8]; 4] = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ];
        for data in hello {
            let mut inflater = Inflater::new(15, true);
            assert_eq!(
                inflate(&mut inflater, data, 5),
                Ok(b"Hello".to_vec()),
                "{data:x?}"
            );
        }
        // §7.2.3.2: the second message refers to the first.
        let mut inflater = Inflater::new(15, true);
        for data in [hello[0], &[0xf2, 0x00, 0x11, 0x00, 0x00]] {
            assert_eq!(inflate(&mut inflater, data, 5), Ok(b"Hello".to_vec()));
        }
        assert_eq!(
            inflate(&mut Inflater::new(15, true), b"\0", 0),
            Ok(Vec::new())
        );
    }

    #[test]
    fn bombs_are_stopped_at_the_limit() {
        let bomb = Deflater::new(9, 15, false).deflate(&vec![0; 1 << 20]);
        let Ok(bomb) = bomb else { unreachable!() };
        assert!(bomb.len() < 2000);
        for limit in [0, 1, 4096, (1 << 20) - 1] {
            let mut out = Vec::new();
            let result = Inflater::new(15, true).inflate(&bomb, &mut out, limit);
            assert_eq!(result, Err(Error::TooBig));
            assert!(out.capacity() <= limit + 64, "{}", out.capacity());
        }
        let whole = inflate(&mut Inflater::new(15, true), &bomb, 1 << 20);
        assert_eq!(whole.map(|data| data.len()), Ok(1 << 20));
    }

    #[test]
    fn garbage_is_refused() {
        let garbage = [0xff; 20];
        assert_eq!(
            inflate(&mut Inflater::new(15, true), &garbage, 1000),
            Err(Error::Compression)
        );
    }

    proptest! {
        #[test]
        fn what_is_deflated_is_inflated(
            messages in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..3000), 1..5),
            level in 0u32..10,
            bits in 9u8..16,
            keeps_context: bool,
            size in 1usize..500,
        ) {
            let mut deflater = Deflater::new(level, bits, keeps_context);
            let mut inflater = Inflater::new(bits, keeps_context);
            for message in messages {
                let Ok(data) = deflater.deflate(&message) else { unreachable!() };
                let mut out = Vec::new();
                for piece in data.chunks(size) {
                    prop_assert_eq!(inflater.inflate(piece, &mut out, message.len()), Ok(()));
                }
                prop_assert_eq!(inflater.finish(&mut out, message.len()), Ok(()));
                prop_assert_eq!(out, message);
            }
        }
    }
}
