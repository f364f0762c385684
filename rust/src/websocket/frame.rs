//! Frames (RFC 6455 §5.2): the head in front of each piece of payload.

use super::error::Error;
use super::mask::{Key, append};

/// The payload of a control frame is not longer than this (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The head of a frame is not longer than this: two bytes, a length of eight, a key of four.
pub const MAX_HEAD: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Another piece of the message before.
    Continuation = 0,
    /// (The first piece of) a text.
    Text = 1,
    /// (The first piece of) a message of bytes.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping, or says that we live.
    Pong = 10,
}

impl Opcode {
    const fn new(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it is Close, Ping or Pong.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last frame of its message.
    pub fin: bool,
    /// The message is compressed.
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// How many bytes of payload follow.
    pub length: u64,
    /// What they are masked with.
    pub key: Option<Key>,
}

impl Head {
    /// Read a head, and how long it is; None if there is less than a whole one. What is wrong
    /// with its first two bytes is found before the others are there.
    ///
    /// # Errors
    /// No frame may begin like this, whoever sent it.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let [first, second, rest @ ..] = input else {
            return Ok(None);
        };
        if first & RSV2_AND_3 != 0 {
            return Err(Error::ReservedBits);
        }
        let opcode = Opcode::new(first & 0x0f).ok_or(Error::Opcode)?;
        let fin = first & FIN != 0;
        let short = second & !MASKED;
        if opcode.is_control() {
            if !fin {
                return Err(Error::ControlFragmented);
            }
            if usize::from(short) > MAX_CONTROL_PAYLOAD {
                return Err(Error::ControlTooLong);
            }
        }
        let (length, rest) = match short {
            126 => match rest.split_first_chunk::<2>() {
                Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest),
                None => return Ok(None),
            },
            _ => (u64::from(short), rest),
        };
        // "The minimal number of bytes MUST be used", "the most significant bit MUST be 0".
        let least = match short {
            126 => 126,
            127 => 1 << 16,
            _ => 0,
        };
        if length < least || length >> 63 == 1 {
            return Err(Error::Length);
        }
        let (key, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            match rest.split_first_chunk::<4>() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            }
        };
        let head = Self {
            fin,
            rsv1: first & RSV1 != 0,
            opcode,
            length,
            key,
        };
        Ok(Some((head, input.len() - rest.len())))
    }

    /// The head of a whole message that is neither masked nor compressed.
    #[must_use]
    pub const fn of_message(opcode: Opcode, length: usize) -> Self {
        Self {
            fin: true,
            rsv1: false,
            opcode,
            length: length as u64,
            key: None,
        }
    }

    /// Append this head to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut first = self.opcode as u8;
        if self.fin {
            first |= FIN;
        }
        if self.rsv1 {
            first |= RSV1;
        }
        let masked = if self.key.is_some() { MASKED } else { 0 };
        #[allow(clippy::cast_possible_truncation)] // each arm has just looked
        match self.length {
            0..=125 => out.extend_from_slice(&[first, masked | self.length as u8]),
            126..=0xffff => {
                out.extend_from_slice(&[first, masked | 126]);
                out.extend_from_slice(&(self.length as u16).to_be_bytes());
            }
            _ => {
                out.extend_from_slice(&[first, masked | 127]);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.key {
            out.extend_from_slice(&key);
        }
    }
}

/// Append a whole frame to `out`: its head, and its payload, masked if there is a key.
pub fn write_frame(
    out: &mut Vec<u8>,
    opcode: Opcode,
    rsv1: bool,
    payload: &[u8],
    key: Option<Key>,
) {
    let head = Head {
        fin: true,
        rsv1,
        opcode,
        length: payload.len() as u64,
        key,
    };
    out.reserve(MAX_HEAD + payload.len());
    head.write(out);
    append(out, payload, key, 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_head() -> impl Strategy<Value = Head> {
        let opcode = (0u8..16).prop_filter_map("an opcode", Opcode::new);
        let length = prop_oneof![
            0u64..300,
            65_000u64..66_000,
            any::<u64>().prop_map(|n| n >> 1)
        ];
        (
            any::<bool>(),
            any::<bool>(),
            opcode,
            length,
            any::<Option<Key>>(),
        )
            .prop_map(|(fin, rsv1, opcode, length, key)| Head {
                fin: fin || opcode.is_control(),
                rsv1,
                opcode,
                length: if opcode.is_control() {
                    length % 126
                } else {
                    length
                },
                key,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(head in any_head(), behind: [u8; 3]) {
            let mut out = Vec::new();
            head.write(&mut out);
            let length = out.len();
            prop_assert!(length <= MAX_HEAD);
            for cut in 0..length {
                prop_assert_eq!(Head::parse(&out[..cut]), Ok(None));
            }
            out.extend_from_slice(&behind);
            prop_assert_eq!(Head::parse(&out), Ok(Some((head, length))));
        }
    }

    #[test]
    fn malformed_heads() {
        let cases: [(&[u8], Error); 10] = [
            (&[0xa1, 0], Error::ReservedBits),
            (&[0x91, 0], Error::ReservedBits),
            (&[0x83, 0], Error::Opcode),
            (&[0x8b, 0], Error::Opcode),
            (&[0x09, 0], Error::ControlFragmented),
            (&[0x89, 126], Error::ControlTooLong),
            (&[0x88, 127], Error::ControlTooLong),
            (&[0x82, 126, 0, 125], Error::Length),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Error::Length),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Error::Length),
        ];
        for (input, error) in cases {
            assert_eq!(Head::parse(input), Err(error), "{input:x?}");
        }
    }
}
