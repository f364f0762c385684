//! From messages to bytes.

use super::deflate::{Deflater, Deflation};
use super::error::Error;
use super::frame::{Opcode, write_frame};
use super::mask::Key;

/// A message as one frame that can be sent on many connections, and whether it is compressed.
///
/// Compressed without anything that came before it, it may be sent to every peer that compression
/// has been agreed upon with, whether it keeps the context or not (RFC 7692 §7.1.1 lets a sender do
/// without), provided its window is as large: tell the connection with `sent_shared`. What does not
/// get shorter is not compressed (§6.1). `opcode` is `Text` or `Binary`.
///
/// # Errors
/// As `Encoder::message`.
pub fn shared_frame(
    opcode: Opcode,
    payload: &[u8],
    deflation: Option<Deflation>,
) -> Result<(Vec<u8>, bool), Error> {
    let mut out = Vec::new();
    if let Some(Deflation { level, window_bits }) = deflation {
        let compressed = Deflater::new(level, window_bits, false).deflate(payload)?;
        if compressed.len() < payload.len() {
            write_frame(&mut out, opcode, true, &compressed, None);
            return Ok((out, true));
        }
    }
    write_frame(&mut out, opcode, false, payload, None);
    Ok((out, false))
}

/// Turns messages into frames: one each.
pub struct Encoder {
    deflater: Option<Box<Deflater>>,
}

impl Encoder {
    /// An encoder; with a deflater, messages are compressed.
    #[must_use]
    pub fn new(deflater: Option<Deflater>) -> Self {
        Self {
            deflater: deflater.map(Box::new),
        }
    }

    /// Whether messages are compressed.
    #[must_use]
    pub fn compresses(&self) -> bool {
        self.deflater.is_some()
    }

    /// How messages may be compressed that are not for this connection alone.
    #[must_use]
    pub fn deflation(&self) -> Option<Deflation> {
        self.deflater.as_ref().map(|deflater| deflater.deflation())
    }

    /// A frame of `shared_frame` that is compressed is sent in between.
    pub fn sent_shared(&mut self) {
        if let Some(deflater) = &mut self.deflater {
            deflater.forget_context();
        }
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

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Event, Inflater, Payload, Role};
    use super::*;

    fn read(decoder: &mut Decoder, data: &[u8]) -> Vec<u8> {
        match decoder.decode(data) {
            Ok((consumed, Event::Binary(payload))) if consumed == data.len() => payload.into_vec(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn shared_frames_between_a_connections_own() {
        let text = b"the same words, the same words, and the same words again".repeat(9);
        for keeps_context in [false, true] {
            let mut encoder = Encoder::new(Some(Deflater::new(6, 11, keeps_context)));
            let inflater = Some(Inflater::new(11, keeps_context));
            let mut decoder = Decoder::new(Role::Client, 1 << 20, inflater);
            for _ in 0..3 {
                for _ in 0..2 {
                    let mut out = Vec::new();
                    assert_eq!(
                        encoder.message(&mut out, Opcode::Binary, &text, None),
                        Ok(())
                    );
                    assert_eq!(read(&mut decoder, &out), text);
                }
                let Ok((shared, true)) = shared_frame(Opcode::Binary, &text, encoder.deflation())
                else {
                    unreachable!()
                };
                encoder.sent_shared();
                assert_eq!(read(&mut decoder, &shared), text);
            }
        }
    }

    #[test]
    fn what_gets_no_shorter_is_not_compressed() {
        let deflation = Some(Deflater::new(6, 15, true).deflation());
        for payload in [&b""[..], b"a", b"0123456789"] {
            let mut plain = Vec::new();
            write_frame(&mut plain, Opcode::Text, false, payload, None);
            assert_eq!(
                shared_frame(Opcode::Text, payload, deflation),
                Ok((plain, false))
            );
        }
        let mut decoder = Decoder::new(Role::Client, 9, None);
        let Ok((frame, false)) = shared_frame(Opcode::Text, b"a", None) else {
            unreachable!()
        };
        let text = Event::Text(Payload::Wire(b"a", None));
        assert_eq!(decoder.decode(&frame), Ok((3, text)));
    }
}
