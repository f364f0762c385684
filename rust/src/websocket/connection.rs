//! Both directions of a connection, and the closing handshake (RFC 6455 §7.1).

use super::Role;
use super::close::CloseReason;
use super::decoder::{Decoder, Event};
use super::deflate::{Deflater, Deflation, Inflater};
use super::encoder::Encoder;
use super::error::Error;
use super::frame::{Opcode, write_frame};
use super::mask::Key;

/// How far the closing handshake has come: the table stands at the head of `websocket`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    CloseSent,
    CloseReceived,
    /// The peer broke the rules. Whether Close has been sent.
    Failed(bool),
    Closed,
}

/// A WebSocket connection without its socket.
pub struct Connection {
    decoder: Decoder,
    encoder: Encoder,
    role: Role,
    state: State,
}

impl Connection {
    /// A connection right behind the opening handshake.
    #[must_use]
    pub fn new(
        role: Role,
        max_message_size: usize,
        compression: Option<(Inflater, Deflater)>,
    ) -> Self {
        let (inflater, deflater) = compression.unzip();
        Self {
            decoder: Decoder::new(role, max_message_size, inflater),
            encoder: Encoder::new(deflater),
            role,
            state: State::Open,
        }
    }

    /// Go on with `input`, up to the next event; returns how much of it is done with.
    ///
    /// # Errors
    /// The input is against the rules: call `close` with the error's code. Nothing more is read.
    pub fn handle_input<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), Error> {
        if !self.is_reading() {
            return Ok((input.len(), Event::NeedMore));
        }
        let decoded = self.decoder.decode(input);
        match &decoded {
            Ok((_, Event::Close(_))) => {
                self.state = match self.state {
                    State::Open => State::CloseReceived,
                    _ => State::Closed,
                };
            }
            Err(_) => self.fail(),
            Ok(_) => {}
        }
        decoded
    }

    /// Look at no more input: it breaks the rules, or nobody is there to take it.
    pub fn fail(&mut self) {
        self.state = State::Failed(self.has_sent_close());
    }

    /// Append a message to `out`; false if it is too late for that.
    ///
    /// # Errors
    /// As `Encoder::message`.
    pub fn send(
        &mut self,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
        key: Option<Key>,
    ) -> Result<bool, Error> {
        if !self.is_open() {
            return Ok(false);
        }
        self.encoder.message(out, opcode, payload, key)?;
        Ok(true)
    }

    /// Whether messages go over the wire as they are: neither masked nor compressed.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.role == Role::Server && !self.encoder.compresses()
    }

    /// How a message for many connections may be compressed for this one, None if not at all.
    #[must_use]
    pub fn deflation(&self) -> Option<Deflation> {
        self.encoder.deflation()
    }

    /// A frame of `shared_frame` that is compressed is sent now.
    pub fn sent_shared(&mut self) {
        self.encoder.sent_shared();
    }

    /// Append a ping or a pong to `out`, whose payload is short enough; false if it is too late.
    pub fn send_control(
        &mut self,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
        key: Option<Key>,
    ) -> bool {
        if self.is_open() {
            write_frame(out, opcode, false, payload, key);
        }
        self.is_open()
    }

    /// Append our Close to `out`, unless there has been one: it begins the closing handshake,
    /// or answers the peer's.
    pub fn close(
        &mut self,
        out: &mut Vec<u8>,
        code: Option<u16>,
        reason: &str,
        key: Option<Key>,
    ) -> bool {
        self.state = match self.state {
            State::Open => State::CloseSent,
            State::CloseReceived | State::Failed(false) => State::Closed,
            State::CloseSent | State::Failed(true) | State::Closed => return false,
        };
        let payload = CloseReason::payload(code, reason);
        write_frame(out, Opcode::Close, false, &payload, key);
        true
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether input is still looked at.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        matches!(self.state, State::Open | State::CloseSent)
    }

    /// Whether our Close has been sent.
    #[must_use]
    pub fn has_sent_close(&self) -> bool {
        matches!(
            self.state,
            State::CloseSent | State::Failed(true) | State::Closed
        )
    }

    /// Whether messages are compressed.
    #[must_use]
    pub fn compresses(&self) -> bool {
        self.encoder.compresses()
    }
}
