//! From bytes to events.

use super::Role;
use super::close::CloseReason;
use super::deflate::Inflater;
use super::error::Error;
use super::frame::{Head, MAX_CONTROL_PAYLOAD, Opcode};
use super::mask::{Key, append, mask};
use super::utf8::{Utf8Validator, is_text};

/// What is reserved for a message on the word of a frame's length alone.
const RESERVE: usize = 64 * 1024;

/// How much compressed payload is unmasked at a time.
const PIECE: usize = 4096;

/// The payload of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a> {
    /// As it came over the wire: the message is one frame, which is in the input whole.
    Wire(&'a [u8], Option<Key>),
    /// Put together, decompressed or unmasked.
    Owned(Vec<u8>),
}

impl Payload<'_> {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Wire(data, _) => data.len(),
            Self::Owned(data) => data.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copy it to where it is wanted; `out` is as long as it is.
    pub fn copy_to(&self, out: &mut [u8]) {
        match self {
            Self::Owned(data) => out.copy_from_slice(data),
            Self::Wire(data, key) => {
                out.copy_from_slice(data);
                if let Some(key) = key {
                    mask(out, *key, 0);
                }
            }
        }
    }

    /// The bytes themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Owned(data) => data,
            Self::Wire(data, key) => {
                let mut out = Vec::with_capacity(data.len());
                append(&mut out, data, key, 0);
                out
            }
        }
    }
}

/// What has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// All input is done with but for the beginning of a frame's head.
    NeedMore,
    /// A text, which is UTF-8 once it is unmasked.
    Text(Payload<'a>),
    /// A message of bytes.
    Binary(Payload<'a>),
    /// Wants a pong with the same payload.
    Ping(Vec<u8>),
    /// Answers a ping.
    Pong(Vec<u8>),
    /// The peer will send nothing more.
    Close(CloseReason),
}

/// A frame whose payload has not come whole.
struct Frame {
    head: Head,
    /// How much of the payload is done with.
    done: u64,
}

/// Turns the bytes of a peer into events. It keeps what has come of the message and of the control
/// frame that are not complete, and no other input.
pub struct Decoder {
    role: Role,
    max_message_size: usize,
    inflater: Option<Box<Inflater>>,
    frame: Option<Frame>,
    /// The opcode of the message that is being received, and whether it is compressed.
    message: Option<(Opcode, bool)>,
    /// What has come of it, decompressed: at most `max_message_size` bytes.
    payload: Vec<u8>,
    utf8: Utf8Validator,
    control: Vec<u8>,
}

impl Decoder {
    /// A decoder at the beginning of a connection, right behind the opening handshake.
    #[must_use]
    pub fn new(role: Role, max_message_size: usize, inflater: Option<Inflater>) -> Self {
        Self {
            role,
            max_message_size,
            inflater: inflater.map(Box::new),
            frame: None,
            message: None,
            payload: Vec::new(),
            utf8: Utf8Validator::default(),
            control: Vec::new(),
        }
    }

    /// Go on with `input`, up to the next event; returns how much of it is done with.
    ///
    /// # Errors
    /// The input is against the rules. The decoder cannot be used any further.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), Error> {
        let mut position = 0;
        loop {
            let rest = &input[position..];
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match Head::parse(rest)? {
                    None => return Ok((position, Event::NeedMore)),
                    Some((head, length)) => {
                        self.check(&head)?;
                        position += length;
                        let rest = &input[position..];
                        if let Some(event) = self.whole_message(&head, rest)? {
                            return Ok((position + event.1, event.0));
                        }
                        self.begin(&head);
                        Frame { head, done: 0 }
                    }
                },
            };
            let rest = &input[position..];
            let missing = frame.head.length - frame.done;
            let count = usize::try_from(missing).map_or(rest.len(), |n| n.min(rest.len()));
            // The mask repeats every four bytes.
            self.receive(&frame.head, &rest[..count], (frame.done % 4) as usize)?;
            position += count;
            frame.done += count as u64;
            if frame.done < frame.head.length {
                self.frame = Some(frame);
                return Ok((position, Event::NeedMore));
            }
            if let Some(event) = self.end(&frame.head)? {
                return Ok((position, event));
            }
        }
    }

    /// Whether a frame may begin like this here.
    fn check(&mut self, head: &Head) -> Result<(), Error> {
        match (self.role, head.key) {
            (Role::Server, None) => return Err(Error::Unmasked),
            (Role::Client, Some(_)) => return Err(Error::Masked),
            _ => {}
        }
        let begins = matches!(head.opcode, Opcode::Text | Opcode::Binary);
        // RFC 7692 §6: RSV1 is on the first frame of a compressed message, and nowhere else.
        if head.rsv1 && !(begins && self.inflater.is_some()) {
            return Err(Error::ReservedBits);
        }
        if head.opcode.is_control() {
            return Ok(());
        }
        let compressed = match (begins, self.message) {
            (true, Some(_)) => return Err(Error::Interleaved),
            (false, None) => return Err(Error::Continuation),
            (true, None) => head.rsv1,
            (false, Some((_, compressed))) => compressed,
        };
        let room = (self.max_message_size - self.payload.len()) as u64;
        if !compressed && head.length > room {
            return Err(Error::TooBig);
        }
        Ok(())
    }

    /// The usual case: a message in one frame, which is here whole. The event, and its length.
    fn whole_message<'a>(
        &mut self,
        head: &Head,
        input: &'a [u8],
    ) -> Result<Option<(Event<'a>, usize)>, Error> {
        let Ok(length) = usize::try_from(head.length) else {
            return Ok(None);
        };
        if !head.fin || head.rsv1 || length > input.len() {
            return Ok(None);
        }
        let data = &input[..length];
        let event = match head.opcode {
            Opcode::Binary => Event::Binary(Payload::Wire(data, head.key)),
            Opcode::Text => {
                if !is_text(data, head.key) {
                    return Err(Error::Utf8);
                }
                Event::Text(Payload::Wire(data, head.key))
            }
            _ => return Ok(None),
        };
        Ok(Some((event, length)))
    }

    /// A frame begins that is not such a one.
    fn begin(&mut self, head: &Head) {
        if matches!(head.opcode, Opcode::Text | Opcode::Binary) {
            self.message = Some((head.opcode, head.rsv1));
        }
        if !head.opcode.is_control() && !matches!(self.message, Some((_, true))) {
            let expected = usize::try_from(head.length).unwrap_or(RESERVE);
            self.payload.reserve(expected.min(RESERVE));
        }
    }

    /// A part of a frame's payload.
    fn receive(&mut self, head: &Head, data: &[u8], offset: usize) -> Result<(), Error> {
        if head.opcode.is_control() {
            debug_assert!(self.control.len() + data.len() <= MAX_CONTROL_PAYLOAD);
            append(&mut self.control, data, head.key, offset);
            return Ok(());
        }
        let Some((opcode, compressed)) = self.message else {
            return Err(Error::Continuation);
        };
        let start = self.payload.len();
        if compressed {
            self.inflate(head, data, offset)?;
        } else {
            append(&mut self.payload, data, head.key, offset);
        }
        if opcode == Opcode::Text && !self.utf8.check(&self.payload[start..]) {
            return Err(Error::Utf8);
        }
        Ok(())
    }

    fn inflate(&mut self, head: &Head, data: &[u8], offset: usize) -> Result<(), Error> {
        let Some(inflater) = &mut self.inflater else {
            return Err(Error::ReservedBits);
        };
        let Some(key) = head.key else {
            return inflater.inflate(data, &mut self.payload, self.max_message_size);
        };
        let mut buffer = [0; PIECE];
        for (number, piece) in data.chunks(PIECE).enumerate() {
            let unmasked = &mut buffer[..piece.len()];
            unmasked.copy_from_slice(piece);
            mask(unmasked, key, offset + number * PIECE);
            inflater.inflate(unmasked, &mut self.payload, self.max_message_size)?;
        }
        Ok(())
    }

    /// All of a frame has come.
    fn end<'a>(&mut self, head: &Head) -> Result<Option<Event<'a>>, Error> {
        if head.opcode.is_control() {
            let payload = std::mem::take(&mut self.control);
            return Ok(Some(match head.opcode {
                Opcode::Ping => Event::Ping(payload),
                Opcode::Pong => Event::Pong(payload),
                _ => Event::Close(CloseReason::parse(&payload)?),
            }));
        }
        if !head.fin {
            return Ok(None);
        }
        let Some((opcode, compressed)) = self.message.take() else {
            return Err(Error::Continuation);
        };
        if compressed && let Some(inflater) = &mut self.inflater {
            let start = self.payload.len();
            inflater.finish(&mut self.payload, self.max_message_size)?;
            if opcode == Opcode::Text && !self.utf8.check(&self.payload[start..]) {
                return Err(Error::Utf8);
            }
        }
        let payload = Payload::Owned(std::mem::take(&mut self.payload));
        if opcode == Opcode::Binary {
            return Ok(Some(Event::Binary(payload)));
        }
        if !self.utf8.finish() {
            return Err(Error::Utf8);
        }
        Ok(Some(Event::Text(payload)))
    }
}
