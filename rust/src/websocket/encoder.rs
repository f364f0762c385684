//! From messages to bytes.

use super::deflate::Deflater;
use super::error::Error;
use super::frame::{Opcode, write_frame};
use super::mask::Key;

/// Turns messages into frames: one each.
pub struct Encoder {
    deflater: Option<Deflater>,
}

impl Encoder {
    /// An encoder; with a deflater, messages are compressed.
    #[must_use]
    pub fn new(deflater: Option<Deflater>) -> Self {
        Self { deflater }
    }

    /// Whether messages are compressed.
    #[must_use]
    pub fn compresses(&self) -> bool {
        self.deflater.is_some()
    }

    /// Append a message to `out`. `opcode` is `Text` or `Binary`, `key` is for clients.
    ///
    /// # Errors
    /// Compression failed, which it never does.
    pub fn message(
        &mut self,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
        key: Option<Key>,
    ) -> Result<(), Error> {
        match &mut self.deflater {
            // RFC 7692 §6.1 lets each message be compressed or not; an empty one gets no shorter.
            Some(deflater) if !payload.is_empty() => {
                let compressed = deflater.deflate(payload)?;
                write_frame(out, opcode, true, &compressed, key);
            }
            _ => write_frame(out, opcode, false, payload, key),
        }
        Ok(())
    }
}
