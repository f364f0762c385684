//! The WebSocket protocol without input and output (RFC 6455), with compression (RFC 7692).
//!
//! A connection carries frames in two directions. A [`Decoder`] turns bytes into events, an
//! [`Encoder`] turns messages into bytes, and [`Connection`] holds both and knows how far the
//! closing handshake has come. The driver shows it bytes, is told how many of those are done with,
//! and shows it the rest again with more behind them. Masking keys are passed in.
//!
//! # The decoder
//!
//! | state | input | event | next state |
//! | --- | --- | --- | --- |
//! | between frames | less than a frame's head | `NeedMore` | the same |
//! | between frames | a head against the rules | error 1002, or 1009 if it is too long | unusable |
//! | between frames | the head of a data frame | | in its payload |
//! | between frames | the head of a control frame | | in its payload; the message is kept |
//! | payload | a part of it | `NeedMore` | the same; text is checked up to here: error 1007 |
//! | payload | the rest, and the frame is not the last | | between frames |
//! | payload | the rest, and the frame is the last | `Text` or `Binary` | between frames |
//! | payload | the rest of a control frame | `Ping`, `Pong` or `Close` | between frames |
//!
//! # The connection
//!
//! | state | event | what is to be sent | next state |
//! | --- | --- | --- | --- |
//! | `Open` | message, ping or pong in or out | | `Open` |
//! | `Open` | `close` called | Close | `CloseSent` |
//! | `Open` | Close in | | `CloseReceived` |
//! | `CloseSent` | message, ping or pong in | | `CloseSent` |
//! | `CloseSent` | Close in | | `Closed` |
//! | `CloseReceived` | `close` called | Close | `Closed` |
//! | any | input against the rules, or `fail` called | | `Failed` |
//! | `Failed` | `close` called | Close, unless one was sent | `Closed` |
//! | `CloseReceived`, `Closed`, `Failed` | anything in | | the same: it is thrown away |
//! | any but `Open` | a message | nothing | the same |
//!
//! Memory: the payload of one message, which `max_message_size` bounds (counted after
//! decompression), and the windows of compression. Work is linear in the input and in what it
//! decompresses to.

mod close;
mod connection;
mod decoder;
mod deflate;
mod encoder;
mod error;
mod frame;
mod mask;
mod utf8;

pub use close::{CloseReason, is_sendable};
pub use connection::Connection;
pub use decoder::{Decoder, Event, Payload};
pub use deflate::{Deflater, Deflation, Inflater};
pub use encoder::{Encoder, shared_frame};
pub use error::Error;
pub use frame::{Head, MAX_CONTROL_PAYLOAD, Opcode, write_frame};
pub use mask::{Key, mask};
pub use utf8::Utf8Validator;

/// Which end of the connection we are: a client masks what it sends, a server does not
/// (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives unmasked frames and sends masked ones.
    Client,
    /// Receives masked frames and sends unmasked ones.
    Server,
}
