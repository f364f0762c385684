//! What can be wrong with what a peer sends, and the close code that tells it so.

use std::fmt;

/// Input against the rules. Nothing that comes behind it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// RSV2 or RSV3 is set, or RSV1 where no extension gives it a meaning.
    ReservedBits,
    /// An opcode that is not defined.
    Opcode,
    /// A client's frame is not masked.
    Unmasked,
    /// A server's frame is masked.
    Masked,
    /// The length is not written in its shortest form, or has the highest bit set.
    Length,
    /// A control frame has more than 125 bytes.
    ControlTooLong,
    /// A control frame is not the last of its message.
    ControlFragmented,
    /// A continuation without a message to continue.
    Continuation,
    /// A new message before the last one was complete.
    Interleaved,
    /// The code of a Close frame may not be sent, or is cut off.
    CloseCode,
    /// The reason of a Close frame is not UTF-8.
    CloseReason,
    /// A text is not UTF-8.
    Utf8,
    /// Compressed data that cannot be decompressed.
    Compression,
    /// The message is over the limit.
    TooBig,
}

impl Error {
    /// The code that a Close frame gives for it (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::CloseReason | Self::Utf8 | Self::Compression => 1007,
            Self::TooBig => 1009,
            _ => 1002,
        }
    }

    /// What a Close frame says of it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bit set",
            Self::Opcode => "unknown opcode",
            Self::Unmasked => "frame not masked",
            Self::Masked => "frame masked by the server",
            Self::Length => "malformed payload length",
            Self::ControlTooLong => "control frame too long",
            Self::ControlFragmented => "fragmented control frame",
            Self::Continuation => "continuation without a message",
            Self::Interleaved => "new message inside a fragmented one",
            Self::CloseCode => "invalid close code",
            Self::CloseReason => "close reason is not UTF-8",
            Self::Utf8 => "text is not UTF-8",
            Self::Compression => "invalid compressed data",
            Self::TooBig => "message too big",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}
