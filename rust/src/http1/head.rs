//! Heads of requests and responses (RFC 9112 §2 to §6), parsed in place by `httparse`.
//!
//! On top of what `httparse` checks, a head is refused for:
//! a line that ends in LF alone (§2.2); a target whose form the method does not allow (§3.2);
//! on HTTP/1.1 a missing, and on any version a repeated or malformed Host (§3.2); lengths that
//! differ or are not decimal digits, a length beside a transfer coding, a coding other than one
//! final `chunked`, any coding on HTTP/1.0 (§6.1, §6.3). `httparse` itself refuses folded lines,
//! white space before the colon and control characters (§5). Folded lines of responses are put
//! together before that, as user agents have to (§5.2).

use std::mem::MaybeUninit;
use std::ops::Range;

use super::MAX_FIELDS;
use super::error::Error;
use crate::headers::{Headers, is_token, list_members};

/// HTTP/1.0 or HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// As it stands in a start line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// The forms of a request target (RFC 9112 §3.2). Ranges are those of the target's own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`: where its authority is, and where its path begins.
    Absolute {
        /// host and port
        authority: Range<usize>,
        /// path and query; empty stands for `/`
        path: usize,
    },
    /// `host:port`, of CONNECT only.
    Authority,
    /// `*`, of OPTIONS only.
    Asterisk,
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartLine {
    /// Of a request; the ranges are those of the head's bytes.
    Request {
        /// case-sensitive token
        method: Range<usize>,
        /// the target's bytes, all of them visible ASCII
        target: Range<usize>,
        /// what kind of target it is
        form: Target,
    },
    /// Of a response.
    Response {
        /// 100 to 999
        status: u16,
        /// may be empty
        reason: Range<usize>,
    },
}

/// How the body that follows a head is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes; 0 is no body.
    Exact(u64),
    /// In chunks.
    Chunked,
    /// Until the peer closes; responses only.
    UntilClose,
}

/// A parsed head. Names, values and the start line lie in the one buffer of `headers`.
#[derive(Debug, Clone)]
pub struct Head {
    /// The version in the start line.
    pub version: Version,
    /// Method and target, or status and reason.
    pub start_line: StartLine,
    /// The fields.
    pub headers: Headers,
    /// What comes behind the head.
    pub body: BodyLength,
    /// Whether the sender wants the connection to stay open (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the sender waits for `100 Continue` (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Whether the sender offers another protocol on this connection (RFC 9110 §7.8), or asks for a
    /// tunnel (§9.3.6): what comes behind the message may not be HTTP.
    pub upgrade: bool,
}

impl Head {
    /// The bytes at a range that the start line names.
    #[must_use]
    pub fn text(&self, range: &Range<usize>) -> &[u8] {
        self.headers.text_at(range.clone())
    }
}

/// Where a part of `text` stands in it.
fn span_in(text: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

type FieldBuffer<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_FIELDS];

const fn field_buffer<'a>() -> FieldBuffer<'a> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

fn copy_fields(text: &[u8], fields: &[httparse::Header<'_>]) -> Headers {
    Headers::from_spans(
        text.to_vec(),
        fields.iter().map(|field| {
            (
                span_in(text, field.name.as_bytes()),
                span_in(text, field.value),
            )
        }),
    )
}

/// Where the empty line ends, if it is there. `from` is how far an earlier call has looked, `limit`
/// how long the section may be: what stands behind makes no difference, however it comes in.
///
/// # Errors
/// [`Error::BareLineFeed`] for a line that does not end in CRLF, [`Error::HeadTooLarge`].
pub(super) fn find_end(input: &[u8], from: usize, limit: usize) -> Result<Option<usize>, Error> {
    let within = &input[..input.len().min(limit)];
    for offset in memchr::memchr_iter(b'\n', &within[from..]) {
        let end = from + offset;
        if end == 0 || input[end - 1] != b'\r' {
            return Err(Error::BareLineFeed);
        }
        if end == 1 || input[end - 2] == b'\n' {
            return Ok(Some(end + 1));
        }
    }
    if within.len() < input.len() {
        return Err(Error::HeadTooLarge);
    }
    Ok(None)
}

/// What is wrong with a section that `httparse` refused, without regard to its start line.
fn field_error(error: httparse::Error, text: &[u8]) -> Error {
    match error {
        httparse::Error::TooManyHeaders => Error::TooManyFields,
        httparse::Error::Version => Error::Version,
        httparse::Error::HeaderName if lacks_colon(text) => Error::FieldColon,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            Error::Field
        }
        httparse::Error::Token | httparse::Error::Status => Error::StartLine,
    }
}

/// What is wrong with a request that `httparse` refused: it takes most malformed request lines for
/// unknown versions, and a line end that is none in the request line for one in a field.
fn request_error(error: httparse::Error, text: &[u8]) -> Error {
    let mut words = first_line(text).split(|&byte| byte == b' ').skip(2);
    let version = words.next().filter(|_| words.next().is_none());
    match (error, version.is_some_and(is_version)) {
        (httparse::Error::Version | httparse::Error::NewLine, false) => Error::StartLine,
        _ => field_error(error, text),
    }
}

/// What is wrong with a response that `httparse` refused.
fn response_error(error: httparse::Error, text: &[u8]) -> Error {
    match (error, first_line(text).split(|&byte| byte == b' ').next()) {
        (httparse::Error::Version, Some(b"HTTP/1.0" | b"HTTP/1.1")) => Error::StatusLine,
        (httparse::Error::Version, Some(version)) if !is_version(version) => Error::StatusLine,
        (httparse::Error::Token | httparse::Error::Status, _) => Error::StatusLine,
        _ => field_error(error, text),
    }
}

/// Whether there is a field line without a colon.
fn lacks_colon(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n')
        .skip(1)
        .any(|line| !matches!(line, [] | [b'\r' | b' ' | b'\t', ..]) && !line.contains(&b':'))
}

fn first_line(text: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(text, b"\r\n").unwrap_or(text.len());
    &text[..end]
}

/// Whether this is the name of a version, ours or another (RFC 9112 §2.3).
const fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

const fn version_of(minor: Option<u8>) -> Version {
    match minor {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    }
}

/// Parse the head of a request; `text` is the whole of it, with the empty line.
pub(super) fn parse_request(text: &[u8]) -> Result<Head, Error> {
    let mut buffer = field_buffer();
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed
        .parse_with_uninit_headers(text, &mut buffer)
        .map_err(|error| request_error(error, text))?;
    let (Some(method), Some(target), true) = (parsed.method, parsed.path, status.is_complete())
    else {
        return Err(Error::StartLine);
    };
    let version = version_of(parsed.version);
    let facts = Facts::collect(parsed.headers)?;
    let form = target_form(method, target.as_bytes())?;
    match facts.hosts {
        0 if version == Version::Http11 => return Err(Error::HostMissing),
        0 | 1 if facts.host_invalid => return Err(Error::HostInvalid),
        0 | 1 => {}
        _ => return Err(Error::HostRepeated),
    }
    let body = match (facts.transfer_encoding, facts.length) {
        (TransferEncoding::None, length) => BodyLength::Exact(length.unwrap_or(0)),
        (_, Some(_)) => return Err(Error::LengthAndTransferEncoding),
        (TransferEncoding::Chunked, None) if version == Version::Http11 => BodyLength::Chunked,
        (TransferEncoding::Unknown, None) => return Err(Error::TransferEncodingUnknown),
        _ => return Err(Error::TransferEncoding),
    };
    let upgrade = form == Target::Authority
        || (facts.upgrade && facts.protocols && version == Version::Http11);
    Ok(Head {
        version,
        start_line: StartLine::Request {
            method: span_in(text, method.as_bytes()),
            target: span_in(text, target.as_bytes()),
            form,
        },
        headers: copy_fields(text, parsed.headers),
        body,
        keep_alive: facts.keep_alive(version),
        expects_continue: facts.expects_continue && version == Version::Http11,
        upgrade,
    })
}

/// The section with a space in place of each obs-fold (RFC 9112 §5.2); None if it has none. What is
/// folded behind the start line belongs to no field, and stays (§2.2). Linear in the text.
fn unfolded(text: &[u8]) -> Option<Vec<u8>> {
    let start = first_line(text).len() + 2;
    let mut out = Vec::new();
    let mut copied = 0;
    for end in memchr::memmem::find_iter(text, b"\r\n").filter(|&end| end >= start) {
        let next = end + 2;
        let spaces = text[next..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        if spaces > 0 {
            out.extend_from_slice(&text[copied..end]);
            out.truncate(out.trim_ascii_end().len());
            out.push(b' ');
            copied = next + spaces;
        }
    }
    if out.is_empty() {
        return None;
    }
    out.extend_from_slice(&text[copied..]);
    Some(out)
}

/// Parse the head of a response to a request of this method; `text` is the whole of it.
pub(super) fn parse_response(text: &[u8], method: &[u8]) -> Result<Head, Error> {
    // Folded lines are rare: they are looked for where a head is refused, as one with them is.
    parse_plain_response(text, method).or_else(|error| match unfolded(text) {
        Some(text) => parse_plain_response(&text, method),
        None => Err(error),
    })
}

fn parse_plain_response(text: &[u8], method: &[u8]) -> Result<Head, Error> {
    let mut buffer = field_buffer();
    let mut parsed = httparse::Response::new(&mut []);
    let complete = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, text, &mut buffer)
        .map_err(|error| response_error(error, text))?;
    let (Some(status @ 100..), true) = (parsed.code, complete.is_complete()) else {
        return Err(Error::StatusLine);
    };
    let version = version_of(parsed.version);
    let facts = Facts::collect(parsed.headers)?;
    let tunnel = method == b"CONNECT" && (200..300).contains(&status);
    let bodiless = method == b"HEAD" || status < 200 || status == 204 || status == 304;
    let announced =
        facts.length.unwrap_or(0) > 0 || !matches!(facts.transfer_encoding, TransferEncoding::None);
    if status == 204 && announced {
        // RFC 9110 §8.6, RFC 9112 §6.1: what follows could be taken for the next response.
        return Err(Error::NoContent);
    }
    let body = if bodiless {
        BodyLength::Exact(0)
    } else if tunnel {
        BodyLength::UntilClose
    } else {
        match (facts.transfer_encoding, facts.length) {
            (TransferEncoding::None, Some(length)) => BodyLength::Exact(length),
            (TransferEncoding::None, None) => BodyLength::UntilClose,
            (_, Some(_)) => return Err(Error::LengthAndTransferEncoding),
            (TransferEncoding::Chunked, None) if version == Version::Http11 => BodyLength::Chunked,
            (TransferEncoding::Unknown, None) => return Err(Error::TransferEncodingUnknown),
            _ => return Err(Error::TransferEncoding),
        }
    };
    // Behind "HTTP/1.1 200 "; httparse itself gives no reason that has obs-text in it.
    let line_end = memchr::memchr(b'\r', text).unwrap_or(text.len());
    let reason = line_end.min(13)..line_end;
    Ok(Head {
        version,
        start_line: StartLine::Response { status, reason },
        headers: copy_fields(text, parsed.headers),
        body,
        keep_alive: facts.keep_alive(version) && body != BodyLength::UntilClose,
        expects_continue: false,
        upgrade: status == 101,
    })
}

/// Parse the trailer section of a chunked body; `text` ends with the empty line.
pub(super) fn parse_trailers(text: &[u8]) -> Result<Headers, Error> {
    let mut buffer = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(text, &mut buffer).map_err(|error| field_error(error, b""))? {
        httparse::Status::Complete((_, fields)) => Ok(copy_fields(text, fields)),
        httparse::Status::Partial => Err(Error::Field),
    }
}

/// The form of a target, if its method allows it (RFC 9112 §3.2).
fn target_form(method: &str, target: &[u8]) -> Result<Target, Error> {
    if target
        .iter()
        .any(|&byte| !byte.is_ascii_graphic() || byte == b'#')
    {
        return Err(Error::Target);
    }
    match target {
        b"*" if method == "OPTIONS" => Ok(Target::Asterisk),
        _ if method == "CONNECT" => {
            // RFC 9110 §9.3.6: there is no default port.
            match split_authority(target) {
                Some((_, Some([_, ..]))) => Ok(Target::Authority),
                _ => Err(Error::Target),
            }
        }
        [b'/', ..] => Ok(Target::Origin),
        _ => absolute_form(target).ok_or(Error::Target),
    }
}

fn absolute_form(target: &[u8]) -> Option<Target> {
    let colon = memchr::memmem::find(target, b"://")?;
    let scheme = &target[..colon];
    let is_scheme = scheme.first()?.is_ascii_alphabetic()
        && scheme
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let start = colon + 3;
    let path = target[start..]
        .iter()
        .position(|&byte| byte == b'/' || byte == b'?')
        .map_or(target.len(), |length| start + length);
    let authority = start..path;
    (is_scheme && split_authority(&target[authority.clone()]).is_some())
        .then_some(Target::Absolute { authority, path })
}

/// Whether these bytes are a value of Host (RFC 9112 §3.2); it may be empty.
fn is_host(text: &[u8]) -> bool {
    text.is_empty() || split_authority(text).is_some()
}

/// The host and the port of `uri-host [":" port]` (RFC 3986 §3.2; no user information), of which the
/// port may be empty or missing.
fn split_authority(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = match text {
        [b'[', rest @ ..] => memchr::memchr(b']', rest)? + 2,
        _ => memchr::memchr(b':', text).unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let is_name = match host {
        [] => false,
        [b'[', address @ .., b']'] => std::str::from_utf8(address)
            .is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        _ => is_registered_name(host),
    };
    match rest {
        _ if !is_name => None,
        [] => Some((host, None)),
        [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => Some((host, Some(port))),
        _ => None,
    }
}

/// Whether these bytes are a name or an IPv4 address (RFC 3986 §3.2.2).
fn is_registered_name(text: &[u8]) -> bool {
    let mut escape = 0;
    for &byte in text {
        let fits = match byte {
            _ if escape > 0 => byte.is_ascii_hexdigit(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%' => true,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
            _ => false,
        };
        if !fits {
            return false;
        }
        escape = if byte == b'%' {
            2_u8
        } else {
            escape.saturating_sub(1)
        };
    }
    escape == 0
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TransferEncoding {
    None,
    Chunked,
    Unknown,
    Malformed,
}

/// What the fields say about framing and the connection, found in one pass over them.
struct Facts {
    hosts: usize,
    host_invalid: bool,
    length: Option<u64>,
    transfer_encoding: TransferEncoding,
    close: bool,
    stay: bool,
    upgrade: bool,
    protocols: bool,
    expects_continue: bool,
}

impl Facts {
    fn collect(fields: &[httparse::Header<'_>]) -> Result<Self, Error> {
        let mut facts = Self {
            hosts: 0,
            host_invalid: false,
            length: None,
            transfer_encoding: TransferEncoding::None,
            close: false,
            stay: false,
            upgrade: false,
            protocols: false,
            expects_continue: false,
        };
        for field in fields {
            // Lengths tell the few names that matter from all others at no cost.
            let name = field.name.as_bytes();
            match name.len() {
                4 if name.eq_ignore_ascii_case(b"host") => {
                    facts.hosts += 1;
                    facts.host_invalid |= !is_host(field.value);
                }
                7 if name.eq_ignore_ascii_case(b"upgrade") => facts.protocols = true,
                6 if name.eq_ignore_ascii_case(b"expect") => {
                    facts.expects_continue |= field.value.eq_ignore_ascii_case(b"100-continue");
                }
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    for token in list_members(field.value) {
                        facts.close |= token.eq_ignore_ascii_case(b"close");
                        facts.stay |= token.eq_ignore_ascii_case(b"keep-alive");
                        facts.upgrade |= token.eq_ignore_ascii_case(b"upgrade");
                    }
                }
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    // "5, 5" and two equal fields are one length (RFC 9112 §6.3).
                    for part in field.value.split(|&byte| byte == b',') {
                        let length = match (decimal(crate::headers::trim_ows(part)), facts.length) {
                            (length, None) => length?,
                            (Ok(length), Some(known)) if length == known => length,
                            _ => return Err(Error::ContentLengths),
                        };
                        facts.length = Some(length);
                    }
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    facts.add_transfer_encoding(field.value);
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    fn add_transfer_encoding(&mut self, value: &[u8]) {
        // Empty members may be ignored (RFC 9110 §5.6.1.2), but other readers take them for a coding.
        for coding in value.split(|&byte| byte == b',') {
            let coding = crate::headers::trim_ows(coding);
            let chunked = coding.eq_ignore_ascii_case(b"chunked");
            let name = coding.split(|&byte| byte == b';').next().unwrap_or(coding);
            self.transfer_encoding = match (self.transfer_encoding, chunked) {
                _ if !is_token(name.trim_ascii_end()) => TransferEncoding::Malformed,
                (TransferEncoding::None, true) => TransferEncoding::Chunked,
                (TransferEncoding::None | TransferEncoding::Unknown, _) => {
                    TransferEncoding::Unknown
                }
                // chunked twice, or something behind it
                _ => TransferEncoding::Malformed,
            };
        }
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.stay)
    }
}

/// A length: decimal digits and nothing else (no sign, no space), small enough to count.
fn decimal(text: &[u8]) -> Result<u64, Error> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return Err(Error::ContentLength);
    }
    Ok(text
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}
