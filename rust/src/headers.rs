//! Header fields: an ordered, case-insensitive map with many values per name (RFC 9110 §5).
//!
//! All names and values lie in one text buffer and each field is two spans of it, so a parsed
//! message head becomes `Headers` with one copy and no string is made until it is asked for.
//! Bytes stand for ISO 8859-1 characters, as on the wire.
//!
//! Cost: looking a name up is O(fields) comparisons, of lengths first; heads are bounded to
//! [`MAX_FIELDS`](crate::http1::MAX_FIELDS), and maps built by hand are small. Replacing and
//! removing leave garbage in the buffer, which is compacted once it outweighs the live text.

use std::ops::Range;

/// A field that may not be stored or sent, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidField {
    /// The name is not a token (RFC 9110 §5.1).
    Name(Vec<u8>),
    /// The value has a control character in it (RFC 9110 §5.5).
    Value(Vec<u8>),
}

impl std::fmt::Display for InvalidField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "invalid header name {:?}",
                name.escape_ascii().to_string()
            ),
            Self::Value(value) => write!(
                f,
                "invalid header value {:?}: control characters are not allowed",
                value.escape_ascii().to_string()
            ),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

/// The fields of one message, in order.
#[derive(Debug, Clone)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
    garbage: usize,
    /// The text is just what the fields are in a head, line by line.
    is_lines: bool,
}

impl Default for Headers {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether this byte may stand in a token (RFC 9110 §5.6.2).
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
        | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// Whether these bytes are a token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Whether these bytes may be a field's value: visible characters, spaces, tabs and obs-text.
#[must_use]
pub fn is_field_value(text: &[u8]) -> bool {
    text.iter()
        .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// Strip the optional white space around a value (RFC 9110 §5.6.3).
#[must_use]
pub fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Append `name` in the case that people write: `content-LENGTH` becomes `Content-Length`.
pub fn normalise_into(out: &mut Vec<u8>, name: &[u8]) {
    let start = out.len();
    out.extend_from_slice(name);
    let mut first = true;
    for byte in &mut out[start..] {
        *byte = if first {
            byte.to_ascii_uppercase()
        } else {
            byte.to_ascii_lowercase()
        };
        first = *byte == b'-';
    }
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), without empty ones.
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

impl Headers {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: Vec::new(),
            fields: Vec::new(),
            garbage: 0,
            is_lines: true,
        }
    }

    /// A copy with room for a few more fields, so that adding them moves nothing.
    #[must_use]
    pub fn clone_with_room(&self) -> Self {
        let mut text = Vec::with_capacity(self.text.len() + 160);
        text.extend_from_slice(&self.text);
        let mut fields = Vec::with_capacity(self.fields.len() + 4);
        fields.extend_from_slice(&self.fields);
        Self {
            text,
            fields,
            garbage: self.garbage,
            is_lines: self.is_lines,
        }
    }

    /// The fields of a parsed head: `text` is the head's own bytes, spans point into it.
    pub(crate) fn from_spans(
        text: Vec<u8>,
        spans: impl ExactSizeIterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Self {
        let narrow = |span: Range<usize>| (span.start as u32, span.end as u32);
        let fields = spans
            .map(|(name, value)| Field {
                name: narrow(name),
                value: narrow(value),
            })
            .collect();
        Self {
            text,
            fields,
            garbage: 0,
            is_lines: false,
        }
    }

    /// The bytes at a span of the head that these fields were parsed from.
    pub(crate) fn text_at(&self, span: Range<usize>) -> &[u8] {
        &self.text[span]
    }

    /// How many fields there are, repeated names counted each time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn slice(&self, span: (u32, u32)) -> &[u8] {
        &self.text[span.0 as usize..span.1 as usize]
    }

    /// All fields in order, names as they were received or in normal case as they were set.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// The values of this name, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first value of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether the name is there.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// The names in the order of their first appearance, each once.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .enumerate()
            .filter_map(move |(index, (name, _))| {
                let seen = self
                    .iter()
                    .take(index)
                    .any(|(other, _)| other.eq_ignore_ascii_case(name));
                (!seen).then_some(name)
            })
    }

    /// Whether a comma-separated field has this token as a member, in any case.
    #[must_use]
    pub fn has_token(&self, name: &[u8], token: &[u8]) -> bool {
        self.get_all(name)
            .any(|value| list_members(value).any(|member| member.eq_ignore_ascii_case(token)))
    }

    fn append_text(&mut self, value: &[u8]) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(value);
        (start, self.text.len() as u32)
    }

    /// Add one value behind those that the name has. White space around the value is dropped.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        let value = Self::check(name, value)?;
        self.add_checked(name, value);
        Ok(())
    }

    fn check<'a>(name: &[u8], value: &'a [u8]) -> Result<&'a [u8], InvalidField> {
        if !is_token(name) {
            return Err(InvalidField::Name(name.to_vec()));
        }
        if !is_field_value(value) {
            return Err(InvalidField::Value(value.to_vec()));
        }
        Ok(trim_ows(value))
    }

    /// [`add`](Self::add) for what the core itself writes.
    pub(crate) fn add_checked(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len() as u32;
        normalise_into(&mut self.text, name);
        let name = (start, self.text.len() as u32);
        self.text.extend_from_slice(b": ");
        let value = self.append_text(value);
        self.text.extend_from_slice(b"\r\n");
        self.fields.push(Field { name, value });
    }

    /// Make this the only value of the name, in the place of its first one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        let value = Self::check(name, value)?;
        self.set_checked(name, value);
        Ok(())
    }

    /// [`set`](Self::set) for what the core itself writes.
    pub(crate) fn set_checked(&mut self, name: &[u8], value: &[u8]) {
        let Some(first) = self.position(name, 0) else {
            return self.add_checked(name, value);
        };
        let old = self.fields[first].value;
        if (old.1 - old.0) as usize == value.len() {
            self.text[old.0 as usize..old.1 as usize].copy_from_slice(value);
        } else {
            self.garbage += (old.1 - old.0) as usize;
            self.fields[first].value = self.append_text(value);
            self.is_lines = false;
        }
        self.remove_from(name, first + 1);
        self.compact();
    }

    fn position(&self, name: &[u8], from: usize) -> Option<usize> {
        (from..self.fields.len()).find(|&index| {
            self.slice(self.fields[index].name)
                .eq_ignore_ascii_case(name)
        })
    }

    fn remove_from(&mut self, name: &[u8], from: usize) -> bool {
        let text = &self.text;
        let before = self.fields.len();
        let (mut index, mut garbage) = (0, 0);
        self.fields.retain(|field| {
            index += 1;
            let keep = index <= from
                || !text[field.name.0 as usize..field.name.1 as usize].eq_ignore_ascii_case(name);
            if !keep {
                garbage += (field.name.1 - field.name.0 + field.value.1 - field.value.0) as usize;
            }
            keep
        });
        self.garbage += garbage;
        let removed = self.fields.len() < before;
        self.is_lines &= !removed;
        removed
    }

    /// Remove all values of the name; whether there were any.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let found = self.remove_from(name, 0);
        self.compact();
        found
    }

    /// Drop overwritten text once it is more than half, so that endless updates stay bounded.
    fn compact(&mut self) {
        if self.garbage <= 1024 || self.garbage * 2 <= self.text.len() {
            return;
        }
        let mut text = Vec::with_capacity(self.text.len() - self.garbage);
        for field in &mut self.fields {
            for span in [&mut field.name, &mut field.value] {
                let start = text.len() as u32;
                text.extend_from_slice(&self.text[span.0 as usize..span.1 as usize]);
                *span = (start, text.len() as u32);
            }
        }
        self.text = text;
        self.garbage = 0;
    }

    /// Write all fields as lines of a message head, without the empty line behind them.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if self.is_lines {
            out.extend_from_slice(&self.text);
            return;
        }
        for (name, value) in self.iter() {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl PartialEq for Headers {
    /// The same names with the same values in the same order, whatever the order of names.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .names()
                .all(|name| self.get_all(name).eq(other.get_all(name)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        headers
    }

    #[test]
    fn names_are_normalised_and_found_in_any_case() {
        let headers = headers(&[("content-LENGTH", "5"), ("x-y", "1"), ("X-Y", "2")]);
        assert_eq!(
            headers.names().collect::<Vec<_>>(),
            [&b"Content-Length"[..], b"X-Y"]
        );
        assert_eq!(headers.get_all(b"x-Y").collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn set_keeps_the_place_of_the_first_value() {
        let mut headers = headers(&[("A", "1"), ("B", "2"), ("A", "3")]);
        headers.set(b"a", b"4").unwrap();
        assert_eq!(
            headers.iter().collect::<Vec<_>>(),
            [(&b"A"[..], &b"4"[..]), (b"B", b"2")]
        );
    }

    #[test]
    fn what_could_split_a_head_is_refused() {
        let mut headers = Headers::new();
        for value in ["a\rb", "a\nb", "a\0b", "a\x7fb"] {
            assert!(matches!(
                headers.set(b"X", value.as_bytes()),
                Err(InvalidField::Value(_))
            ));
        }
        for name in ["", "a b", "a:", "a\n", "\u{e9}"] {
            assert!(matches!(
                headers.add(name.as_bytes(), b"1"),
                Err(InvalidField::Name(_))
            ));
        }
        assert!(headers.is_empty());
    }

    fn written(headers: &Headers) -> String {
        let mut out = Vec::new();
        headers.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_written_alike_however_they_came_to_be() {
        let mut headers = headers(&[("a", "1"), ("b", "22"), ("A", "3")]);
        assert_eq!(written(&headers), "A: 1\r\nB: 22\r\nA: 3\r\n");
        headers.set(b"b", b"44").unwrap();
        assert_eq!(written(&headers), "A: 1\r\nB: 44\r\nA: 3\r\n");
        headers.set(b"b", b"555").unwrap();
        assert_eq!(written(&headers), "A: 1\r\nB: 555\r\nA: 3\r\n");
        headers.remove(b"a");
        headers.add(b"c", b"").unwrap();
        assert_eq!(written(&headers), "B: 555\r\nC: \r\n");
    }

    #[test]
    fn endless_updates_stay_bounded() {
        let mut headers = Headers::new();
        for round in 0..100_000 {
            headers
                .set(b"X-Round", round.to_string().as_bytes())
                .unwrap();
        }
        assert!(headers.text.len() < 8192);
        assert_eq!(headers.get(b"x-round"), Some(&b"99999"[..]));
    }

    proptest! {
        #[test]
        fn behaves_like_a_list_of_pairs(
            steps in prop::collection::vec((0u8..3, "[a-cA-C]", "[ -~]{0,200}"), 0..60)
        ) {
            let mut headers = Headers::new();
            let mut model: Vec<(String, String)> = Vec::new();
            for (step, name, value) in steps {
                let key = name.to_ascii_uppercase();
                let text = value.trim_matches(' ').to_owned();
                match step {
                    0 => {
                        headers.add(name.as_bytes(), value.as_bytes()).unwrap();
                        model.push((key, text));
                    }
                    1 => {
                        headers.set(name.as_bytes(), value.as_bytes()).unwrap();
                        match model.iter().position(|(k, _)| *k == key) {
                            Some(first) => {
                                model[first].1 = text;
                                let mut index = 0;
                                model.retain(|(k, _)| {
                                    index += 1;
                                    index - 1 <= first || *k != key
                                });
                            }
                            None => model.push((key, text)),
                        }
                    }
                    _ => {
                        let found = headers.remove(name.as_bytes());
                        prop_assert_eq!(found, model.iter().any(|(k, _)| *k == key));
                        model.retain(|(k, _)| *k != key);
                    }
                }
                let seen: Vec<_> = headers
                    .iter()
                    .map(|(n, v)| (String::from_utf8(n.to_vec()).unwrap(), String::from_utf8(v.to_vec()).unwrap()))
                    .collect();
                prop_assert_eq!(&seen, &model);
            }
        }
    }
}
