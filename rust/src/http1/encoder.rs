//! From a head, data and an end to bytes: one direction of a connection.

use std::fmt;

use super::head::{Head, StartLine, Version};
use crate::headers::{Headers, list_members};

/// A call that would make a malformed message. Nothing has been written by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// More data than the Content-Length says.
    TooMuchData,
    /// The end before as much data as the Content-Length says.
    TooLittleData,
    /// The Content-Length is not a number.
    ContentLength,
    /// Two lengths that differ, or a length beside a transfer coding.
    Framing,
    /// A request in a transfer coding whose last one is not chunked.
    TransferEncoding,
    /// Data or an end without a head.
    NoHead,
    /// A second head, or a head without a message to answer.
    HeadNotExpected,
    /// A status code of other than three digits.
    Status,
    /// A reason phrase, method or target with a control character in it.
    StartLine,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMuchData => "Tried to write more data than Content-Length",
            Self::TooLittleData => "Tried to write less data than Content-Length",
            Self::ContentLength => "Content-Length must be a decimal number",
            Self::Framing => "a message has one Content-Length or a Transfer-Encoding, not both",
            Self::TransferEncoding => "the last transfer coding of a request is chunked",
            Self::NoHead => "headers must be written before the body",
            Self::HeadNotExpected => "headers have already been written",
            Self::Status => "a status code has three digits",
            Self::StartLine => "control characters are not allowed in a start line",
        })
    }
}

impl std::error::Error for EncodeError {}

/// How the body being sent is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to be sent.
    Length(u64),
    Chunked,
    /// As the application gives it; it has set Transfer-Encoding itself.
    AsIs,
    UntilClose,
    /// Data is taken and thrown away: a response to HEAD, 204, 304 (RFC 9110 §6.4.1).
    Nothing,
}

/// Writes the messages of one direction.
#[derive(Debug, Clone, Copy)]
pub struct Encoder {
    framing: Option<Framing>,
    /// Servers: a request waits for its response.
    expecting_head: bool,
    /// Servers: the facts of that request which shape the response.
    version: Version,
    method: Method,
    asked_to_stay: bool,
    keep_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Head,
    Connect,
    Other,
}

impl Method {
    fn of(name: &[u8]) -> Self {
        match name {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder at the start of a connection.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            framing: None,
            expecting_head: false,
            version: Version::Http11,
            method: Method::Other,
            asked_to_stay: true,
            keep_alive: true,
        }
    }

    /// Servers: this request is the next to be answered.
    pub fn answer(&mut self, request: &Head) {
        self.version = request.version;
        self.method = match &request.start_line {
            StartLine::Request { method, .. } => Method::of(request.text(method)),
            StartLine::Response { .. } => Method::Other,
        };
        self.asked_to_stay = request.keep_alive;
        self.keep_alive = request.keep_alive;
        self.framing = None;
        self.expecting_head = true;
    }

    /// Servers: an answer to input that never became a request. The connection closes behind it.
    pub const fn answer_malformed(&mut self) {
        self.version = Version::Http11;
        self.method = Method::Other;
        self.keep_alive = false;
        self.framing = None;
        self.expecting_head = true;
    }

    /// The connection shall close behind this message.
    pub const fn close_after(&mut self) {
        self.keep_alive = false;
    }

    /// Whether another message may follow on this connection.
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether a head has been written and its end not yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.framing.is_some()
    }

    /// Whether the request still waits for its head.
    #[must_use]
    pub const fn expects_head(&self) -> bool {
        self.expecting_head
    }

    /// Write the head of a response. A message whose headers give no length is sent in chunks, or
    /// on HTTP/1.0 until close.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn response(
        &mut self,
        out: &mut Vec<u8>,
        status: u16,
        reason: &[u8],
        headers: &Headers,
    ) -> Result<(), EncodeError> {
        if !self.expecting_head {
            return Err(EncodeError::HeadNotExpected);
        }
        if !(100..1000).contains(&status) {
            return Err(EncodeError::Status);
        }
        check_line(reason)?;
        let facts = Facts::collect(headers)?;
        let interim = status < 200 && status != 101;
        let tunnel = self.method == Method::Connect && (200..300).contains(&status);
        let bodiless = status < 200 || status == 204;
        let nothing = bodiless || status == 304 || self.method == Method::Head;
        let mut chunked = false;
        let framing = if nothing {
            Framing::Nothing
        } else if tunnel {
            Framing::UntilClose
        } else if let Some(length) = facts.length {
            Framing::Length(length)
        } else if facts.transfer_encoding {
            Framing::AsIs
        } else if self.version == Version::Http11 {
            chunked = true;
            Framing::Chunked
        } else {
            Framing::UntilClose
        };
        // As the application frames it: whether it ends as it says is not ours to know.
        if facts.close || matches!(framing, Framing::UntilClose | Framing::AsIs) {
            self.keep_alive = self.keep_alive && interim;
        }
        if interim && self.version == Version::Http10 {
            // RFC 9110 §15.2: HTTP/1.0 knows no interim responses.
            return Ok(());
        }
        write_status_line(out, status, reason);
        if bodiless || tunnel {
            // RFC 9110 §8.6, §9.3.6, RFC 9112 §6.1: no lengths where there can be no body.
            for (name, value) in headers.iter().filter(|(name, _)| !is_framing(name)) {
                write_field(out, name, value);
            }
        } else {
            headers.write_to(out);
        }
        if chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if !interim && status != 101 {
            // RFC 9112 §9.6: also beside what the application says about the connection. HTTP/1.0
            // closes unless both sides say otherwise (§9.3).
            let unsaid = self.version == Version::Http10 && !facts.connection;
            if !self.keep_alive && !facts.close && (self.asked_to_stay || !unsaid) {
                out.extend_from_slice(b"Connection: close\r\n");
            } else if self.keep_alive && unsaid {
                out.extend_from_slice(b"Connection: Keep-Alive\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        if !interim {
            self.expecting_head = false;
            self.framing = Some(framing);
        }
        Ok(())
    }

    /// Whether data is sent in chunks, so that it goes through [`data`](Self::data).
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(self.framing, Some(Framing::Chunked))
    }

    /// Clients: write the head of a request. Its body is what its headers say; without them it is
    /// sent in chunks if the method is one of those that give a body a meaning, else there is none.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn request(
        &mut self,
        out: &mut Vec<u8>,
        method: &[u8],
        target: &[u8],
        headers: &Headers,
    ) -> Result<(), EncodeError> {
        if self.framing.is_some() {
            return Err(EncodeError::HeadNotExpected);
        }
        let is_target = |byte: &u8| byte.is_ascii_graphic();
        if !crate::headers::is_token(method) || target.is_empty() || !target.iter().all(is_target) {
            return Err(EncodeError::StartLine);
        }
        let facts = Facts::collect(headers)?;
        if facts.transfer_encoding && !facts.chunked {
            // RFC 9112 §6.1: a server that takes another message for its end would be smuggled past.
            return Err(EncodeError::TransferEncoding);
        }
        self.keep_alive = !facts.close;
        let announce = facts.length.is_none()
            && !facts.transfer_encoding
            && matches!(method, b"POST" | b"PUT" | b"PATCH");
        self.framing = Some(if facts.transfer_encoding || announce {
            Framing::Chunked
        } else {
            Framing::Length(facts.length.unwrap_or(0))
        });
        out.extend_from_slice(method);
        out.push(b' ');
        out.extend_from_slice(target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        headers.write_to(out);
        if announce {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Account for `length` bytes of body, which the driver sends itself, as a file. False if the
    /// message has no body and they must not be sent.
    ///
    /// # Errors
    /// As [`data`](Self::data). A chunked body cannot be sent this way.
    pub fn data_elsewhere(&mut self, length: u64) -> Result<bool, EncodeError> {
        match &mut self.framing {
            None => Err(EncodeError::NoHead),
            Some(Framing::Nothing) => Ok(false),
            Some(Framing::Chunked) => Err(EncodeError::ContentLength),
            Some(Framing::Length(remaining)) => {
                *remaining = remaining
                    .checked_sub(length)
                    .ok_or(EncodeError::TooMuchData)?;
                Ok(true)
            }
            Some(Framing::AsIs | Framing::UntilClose) => Ok(true),
        }
    }

    /// Write a piece of the body.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn data(&mut self, out: &mut Vec<u8>, data: &[u8]) -> Result<(), EncodeError> {
        match &mut self.framing {
            None => return Err(EncodeError::NoHead),
            Some(Framing::Nothing) => return Ok(()),
            Some(Framing::Length(remaining)) => {
                *remaining = remaining
                    .checked_sub(data.len() as u64)
                    .ok_or(EncodeError::TooMuchData)?;
            }
            Some(Framing::Chunked) => {
                if !data.is_empty() {
                    write_hexadecimal(out, data.len());
                    out.extend_from_slice(b"\r\n");
                    out.extend_from_slice(data);
                    out.extend_from_slice(b"\r\n");
                }
                return Ok(());
            }
            Some(Framing::AsIs | Framing::UntilClose) => {}
        }
        out.extend_from_slice(data);
        Ok(())
    }

    /// Write the end of the body.
    ///
    /// # Errors
    /// See [`EncodeError`]; after [`EncodeError::TooLittleData`] the connection has to be closed.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.framing.take() {
            None => Err(EncodeError::NoHead),
            Some(Framing::Length(1..)) => {
                self.keep_alive = false;
                Err(EncodeError::TooLittleData)
            }
            Some(Framing::Chunked) => {
                out.extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }
}

/// What the fields of an outgoing message say about its framing.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    transfer_encoding: bool,
    /// The last transfer coding is chunked.
    chunked: bool,
    connection: bool,
    close: bool,
}

impl Facts {
    fn collect(headers: &Headers) -> Result<Self, EncodeError> {
        let mut facts = Self::default();
        for (name, value) in headers.iter() {
            match name.len() {
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    facts.connection = true;
                    facts.close |= list_members(value).any(|t| t.eq_ignore_ascii_case(b"close"));
                }
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit)
                    {
                        return Err(EncodeError::ContentLength);
                    }
                    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
                    let length = digits.fold(0, |sum, digit| sum * 10 + digit);
                    if facts.length.is_some_and(|known| known != length) {
                        return Err(EncodeError::Framing);
                    }
                    facts.length = Some(length);
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    facts.transfer_encoding = true;
                    facts.chunked = list_members(value)
                        .last()
                        .is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
                }
                _ => {}
            }
        }
        if facts.length.is_some() && facts.transfer_encoding {
            return Err(EncodeError::Framing);
        }
        Ok(facts)
    }
}

fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

fn check_line(text: &[u8]) -> Result<(), EncodeError> {
    if crate::headers::is_field_value(text) {
        Ok(())
    } else {
        Err(EncodeError::StartLine)
    }
}

fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_hexadecimal(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (place * 4)) & 15]);
    }
}
