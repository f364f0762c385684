//! HTTP/1.1 messages without input and output (RFC 9112).
//!
//! A connection carries messages in two directions. Each direction has a machine of its own:
//! a [`Decoder`] turns bytes into events, an [`Encoder`] turns a head, data and an end into bytes.
//! Neither keeps the bytes: the decoder says how many of those it was shown are done with, and the
//! driver shows it the rest again with more behind them. So a whole body passes without a copy.
//!
//! # The decoder
//!
//! | state | input | event | next state |
//! | --- | --- | --- | --- |
//! | `Head` | no empty line yet | `NeedMore` | `Head` (over the limit: error 431 or 414) |
//! | `Head` | a head | `Head` | `Body`; a client after 1xx: `Head` |
//! | `Body` none | | `End` | `Done` |
//! | `Body` length | data | `Data` | `Body` until all has come, then `End`, `Done` |
//! | `Body` chunked | sizes, data, trailers | `Data`…, `End` | `Done` |
//! | `Body` until close | data | `Data` | `Body`; `finish_input`: `End`, `Done` |
//! | `Done` | anything | `NeedMore`, nothing consumed | `next_message`: `Head` |
//! | any | against the rules | error | the connection cannot go on |
//!
//! # The encoder
//!
//! | state | call | bytes | next state |
//! | --- | --- | --- | --- |
//! | `Idle` | head | the head | `Open` with a framing; 1xx: `Idle` |
//! | `Open` length | data, end | as they are, counted | `Idle` after the end |
//! | `Open` chunked | data, end | chunks, last chunk | `Idle` |
//! | `Open` until close | data, end | as they are | `Closed` |
//! | `Open` no body | data | none | `Idle` after the end |
//!
//! Where a lenient reader could be smuggled past, this one is strict: see [`head`] for the rules.

mod body;
mod decoder;
mod encoder;
mod error;
pub mod head;
mod keepalive;

pub use decoder::{Decoder, Event, Limits, Role};
pub use encoder::{EncodeError, Encoder};
pub use error::Error;
pub use head::{BodyLength, Head, StartLine, Target, Version};
pub use keepalive::idle_seconds;

/// How many fields a head or a trailer section may have: what Apache allows; nginx has no limit.
pub const MAX_FIELDS: usize = 100;

/// Bytes of a head: 64 KiB as Tornado has it (nginx 32 KiB, Apache about 800 KiB, Node 16 KiB).
pub const MAX_HEAD_SIZE: usize = 64 * 1024;

/// Bytes of all chunk extensions of a body: nobody sends any but attackers (hyper has the same).
pub const MAX_CHUNK_EXTENSIONS: usize = 16 * 1024;
