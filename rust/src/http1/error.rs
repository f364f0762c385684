//! What can be wrong with a message, and the status code that says so to its sender.

use std::fmt;

/// A message against the rules. The connection that it came on cannot be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The head is over the limit.
    HeadTooLarge,
    /// The request line alone is over the limit.
    TargetTooLong,
    /// There are more than [`MAX_FIELDS`](super::MAX_FIELDS) fields.
    TooManyFields,
    /// A body that lasts until close is over the limit.
    BodyTooLarge,
    /// The length of a body is over the limit.
    LengthTooLarge,
    /// A chunked body is over the limit.
    ChunksTooLarge,
    /// A version other than 1.0 and 1.1.
    Version,
    /// The first line of a request is not a request line.
    StartLine,
    /// The first line of a response is not a status line.
    StatusLine,
    /// The target has a form that its method does not allow.
    Target,
    /// A line ends in LF without CR, or CR stands alone.
    BareLineFeed,
    /// A field line is malformed: its name, white space before the colon, folding, control characters.
    Field,
    /// An HTTP/1.1 request without a Host.
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// A line without a colon among the fields.
    FieldColon,
    /// A Host that is not a host.
    HostInvalid,
    /// A length that is not a decimal number.
    ContentLength,
    /// Several lengths that differ.
    ContentLengths,
    /// Both a length and a transfer coding.
    LengthAndTransferEncoding,
    /// A transfer coding other than chunked, which we do not have.
    TransferEncodingUnknown,
    /// A 204 (No Content) that announces content.
    NoContent,
    /// Chunked is not the last coding, comes twice, or in an HTTP/1.0 message.
    TransferEncoding,
    /// The size of a chunk is malformed, or what follows it.
    Chunk,
    /// More data in a chunk than its size says.
    ChunkEnd,
    /// More chunk extensions than the limit.
    ChunkExtensions,
    /// The peer closed in the middle of a message.
    Incomplete,
}

impl Error {
    /// The status code of the answer to a request that is wrong in this way (RFC 9110 §15).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::TargetTooLong => 414,
            Self::BodyTooLarge | Self::LengthTooLarge | Self::ChunksTooLarge => 413,
            Self::Version => 505,
            Self::TransferEncodingUnknown => 501,
            _ => 400,
        }
    }

    /// One line that tells the sender what to mend.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::HeadTooLarge => "header section too large",
            Self::TargetTooLong => "request target too long",
            Self::TooManyFields => "too many header fields",
            Self::BodyTooLarge => "Body too long",
            Self::LengthTooLarge => "Content-Length too long",
            Self::ChunksTooLarge => "chunked body too large",
            Self::Version => "unsupported HTTP version",
            Self::StartLine => "Malformed HTTP request line",
            Self::StatusLine => "Malformed HTTP status line",
            Self::Target => "invalid request target",
            Self::BareLineFeed => "lines must end with CRLF",
            Self::Field => "malformed header field",
            Self::FieldColon => "no colon in header line",
            Self::HostMissing => "missing Host header",
            Self::HostRepeated => "multiple Host headers",
            Self::HostInvalid => "Invalid Host header",
            Self::ContentLength => "Only integer Content-Length is allowed",
            Self::ContentLengths => "Multiple unequal Content-Lengths",
            Self::LengthAndTransferEncoding => {
                "Message with both Transfer-Encoding and Content-Length"
            }
            Self::NoContent => "Response with code 204 should not have body",
            Self::TransferEncodingUnknown => "Unsupported Transfer-Encoding",
            Self::TransferEncoding => "invalid Transfer-Encoding",
            Self::Chunk => "invalid chunk size",
            Self::ChunkEnd => "improperly terminated chunk",
            Self::ChunkExtensions => "chunk extensions too large",
            Self::Incomplete => "connection closed in the middle of a message",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}
