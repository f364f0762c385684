//! `multipart/form-data` (RFC 7578, on RFC 2046 §5.1).
//!
//! ```text
//! preamble CRLF                       ignored
//! --boundary CRLF                     a part begins (the first may be at the very start)
//! header fields CRLF CRLF body CRLF
//! --boundary-- epilogue               the end; what follows is ignored
//! ```
//!
//! Takes a whole body and hands out where in it each part's body is: nothing of the bodies is
//! copied. Each byte is searched for delimiters once and for header fields at most once, so that
//! time is linear; memory is bounded by the number of parts and the size of their header fields.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memmem::{self, Finder};

use super::disposition;

/// What one body may hold. The defaults are those that Tornado 6.6 documents for
/// `ParseMultipartConfig`; browsers send one part a field and under 1 KiB of header fields each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Parts in a body.
    pub max_parts: usize,
    /// Bytes of header fields in each part.
    pub max_part_header_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_parts: 100,
            max_part_header_size: 10 * 1024,
        }
    }
}

/// One field or file of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The form field's name; never empty.
    pub name: Cow<'a, str>,
    /// The file's name, if the part has one: browsers send an empty one if no file was chosen.
    /// It is what the client says, and may well look like a path.
    pub filename: Option<Cow<'a, str>>,
    /// The part's `Content-Type`, if it has one.
    pub content_type: Option<&'a str>,
    /// Where the content is within the body that was parsed.
    pub body: Range<usize>,
}

/// Why a body could not be read. All of these are the client's mistake (status 400).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The boundary is empty.
    NoBoundary,
    /// No delimiter marks the end, or the beginning.
    NoFinalBoundary,
    /// Something other than a line break or `--` follows the boundary.
    BadDelimiter,
    /// There are more parts than allowed.
    TooManyParts,
    /// A part's header fields are larger than allowed.
    HeaderTooLarge,
    /// A part has no header fields.
    MissingHeaders,
    /// A part's header field has no name, or one that is not a token.
    BadHeaderName,
    /// A part's header field has control characters in it, or is not UTF-8.
    BadHeaderValue,
    /// A part's `Content-Disposition` is missing, repeated, malformed or not `form-data`.
    BadDisposition,
    /// A part's `Content-Disposition` has no name in it.
    MissingName,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBoundary => "Invalid multipart/form-data: empty boundary",
            Self::NoFinalBoundary => "Invalid multipart/form-data: no final boundary",
            Self::BadDelimiter => "Invalid multipart/form-data: malformed boundary",
            Self::TooManyParts => "multipart/form-data has too many parts",
            Self::HeaderTooLarge => "multipart/form-data part header too large",
            Self::MissingHeaders => "multipart/form-data missing headers",
            Self::BadHeaderName => "Invalid header name in multipart/form-data",
            Self::BadHeaderValue => "Invalid header value in multipart/form-data",
            Self::BadDisposition => "Invalid multipart/form-data: bad Content-Disposition",
            Self::MissingName => "multipart/form-data value missing name",
        })
    }
}

impl std::error::Error for Error {}

/// The parts of `data`, in order. Quotes around the boundary are taken off, since some callers
/// take it from a `Content-Type` as it is.
///
/// # Errors
/// At the first thing that is not as it should be: no part of a malformed body is handed out.
pub fn parse<'a>(boundary: &[u8], data: &'a [u8], limits: Limits) -> Result<Vec<Part<'a>>, Error> {
    let boundary = boundary
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(boundary);
    if boundary.is_empty() {
        return Err(Error::NoBoundary);
    }
    let delimiter = [b"\r\n--", boundary].concat();
    let finder = Finder::new(&delimiter);
    let find = |from: usize| {
        finder
            .find(&data[from..])
            .map(|at| from + at)
            .ok_or(Error::NoFinalBoundary)
    };
    // At the very start of a body the delimiter has no line break before it.
    let mut after = if data.starts_with(&delimiter[2..]) {
        delimiter.len() - 2
    } else {
        find(0)? + delimiter.len()
    };
    let mut parts = Vec::new();
    while let Some(start) = end_of_delimiter(data, after)? {
        // The line break that ends a delimiter does not begin the next one: a part with nothing
        // in it has no header fields, and is an error.
        let end = find(start)?;
        if parts.len() >= limits.max_parts {
            return Err(Error::TooManyParts);
        }
        parts.push(part(data, start..end, limits.max_part_header_size)?);
        after = end + delimiter.len();
    }
    Ok(parts)
}

/// Where the part after a delimiter begins; `None` if the delimiter was the last one.
fn end_of_delimiter(data: &[u8], after: usize) -> Result<Option<usize>, Error> {
    let rest = &data[after..];
    if rest.starts_with(b"--") {
        return Ok(None);
    }
    let padding = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    match &rest[padding..] {
        [b'\r', b'\n', ..] => Ok(Some(after + padding + 2)),
        [] | [b'\r'] => Err(Error::NoFinalBoundary),
        _ => Err(Error::BadDelimiter),
    }
}

fn part(data: &[u8], range: Range<usize>, max_header_size: usize) -> Result<Part<'_>, Error> {
    let Range { start, end } = range;
    // The line break of the last header field may be that of the delimiter's if there is no body.
    let searched = end.min(start.saturating_add(max_header_size).saturating_add(4));
    let (header_end, body) = match memmem::find(&data[start..searched], b"\r\n\r\n") {
        Some(at) => (start + at, start + at + 4..end),
        None if end - start > max_header_size.saturating_add(2) => {
            return Err(Error::HeaderTooLarge);
        }
        None if data[start..end].ends_with(b"\r\n") => (end - 2, end..end),
        None => return Err(Error::MissingHeaders),
    };
    let header = &data[start..header_end];
    if header.len() > max_header_size {
        return Err(Error::HeaderTooLarge);
    }
    let fields = header_fields(header)?;
    let found = fields
        .disposition
        .and_then(disposition::parse)
        .ok_or(Error::BadDisposition)?;
    let name = found
        .name
        .filter(|name| !name.is_empty())
        .ok_or(Error::MissingName)?;
    Ok(Part {
        name,
        filename: found.filename,
        content_type: fields.content_type,
        body,
    })
}

#[derive(Default)]
struct Fields<'a> {
    disposition: Option<&'a str>,
    content_type: Option<&'a str>,
}

/// The header fields that matter (RFC 7578 §4.8: all others are ignored), each at most once.
fn header_fields(header: &[u8]) -> Result<Fields<'_>, Error> {
    // A part that begins with an empty line has a body only.
    if header.is_empty() || header.starts_with(b"\r\n") {
        return Err(Error::MissingHeaders);
    }
    let text = simdutf8::basic::from_utf8(header).map_err(|_| Error::BadHeaderValue)?;
    let mut fields = Fields::default();
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(Error::BadHeaderName)?;
        // Refuses folded lines too, which begin with white space.
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(Error::BadHeaderName);
        }
        if value
            .bytes()
            .any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        {
            return Err(Error::BadHeaderValue);
        }
        let value = value.trim_matches([' ', '\t']);
        let slot = if name.eq_ignore_ascii_case("content-disposition") {
            &mut fields.disposition
        } else if name.eq_ignore_ascii_case("content-type") {
            &mut fields.content_type
        } else {
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(Error::BadDisposition);
        }
    }
    Ok(fields)
}

/// RFC 9110 §5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
        )
        || matches!(byte, b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests;
