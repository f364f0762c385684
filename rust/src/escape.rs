//! Escapes of HTML text and of URLs.
//!
//! Both functions return their argument, borrowed, when there is nothing to change, take time
//! linear in its length, and work on bytes: every byte they look for is ASCII, so text in any
//! superset of ASCII stays valid.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Bytes looked at together when nothing needs escaping: enough for the widest vector registers.
const BLOCK: usize = 32;

const fn entity(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'"' => Some(b"&quot;"),
        b'\'' => Some(b"&#x27;"),
        _ => None,
    }
}

/// Replaces `&`, `<`, `>`, `"` and `'` so that the text can stand in HTML or XML, also between
/// quotes.
#[must_use]
pub fn xhtml_escape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = find_special(text) else {
        return Cow::Borrowed(text);
    };
    let mut escaped = Vec::with_capacity(text.len() + text.len() / 8 + 8);
    escape_from(&mut escaped, text, first);
    Cow::Owned(escaped)
}

/// Appends what `xhtml_escape` returns to a buffer.
#[inline]
pub fn xhtml_escape_into(buffer: &mut Vec<u8>, text: &[u8]) {
    match find_special(text) {
        Some(first) => escape_from(buffer, text, first),
        None => buffer.extend_from_slice(text),
    }
}

/// Appends the text, escaped, whose first byte to replace is known.
fn escape_from(buffer: &mut Vec<u8>, text: &[u8], first: usize) {
    let mut copied = 0;
    for (at, &byte) in text.iter().enumerate().skip(first) {
        if let Some(entity) = entity(byte) {
            buffer.extend_from_slice(&text[copied..at]);
            buffer.extend_from_slice(entity);
            copied = at + 1;
        }
    }
    buffer.extend_from_slice(&text[copied..]);
}

/// The position of the first byte that `xhtml_escape` replaces.
fn find_special(text: &[u8]) -> Option<usize> {
    let mut start = 0;
    for block in text.chunks(BLOCK) {
        // Without a branch in it, so that the compiler makes vector instructions of this.
        let hit = block.iter().fold(false, |hit, &byte| {
            hit | matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')
        });
        if hit {
            let within = block.iter().position(|&byte| entity(byte).is_some());
            return within.map(|at| start + at);
        }
        start += block.len();
    }
    None
}

/// Decodes `%XX` (RFC 3986 §2.1) and, with `plus`, `+` as a space. A `%` that two hexadecimal
/// digits do not follow stays as it is.
#[must_use]
pub fn url_unescape(data: &[u8], plus: bool) -> Cow<'_, [u8]> {
    let find = |from: usize| {
        let rest = &data[from..];
        if plus {
            memchr2(b'%', b'+', rest)
        } else {
            memchr(b'%', rest)
        }
        .map(|at| from + at)
    };
    let Some(mut at) = find(0) else {
        return Cow::Borrowed(data);
    };
    let mut decoded = Vec::with_capacity(data.len());
    let mut copied = 0;
    loop {
        decoded.extend_from_slice(&data[copied..at]);
        let (byte, width) = match (data[at], data.get(at + 1..at + 3)) {
            (b'+', _) => (b' ', 1),
            (_, Some(&[high, low])) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            _ => (b'%', 1),
        };
        decoded.push(byte);
        copied = at + width;
        match find(copied) {
            Some(next) => at = next,
            None => break,
        }
    }
    decoded.extend_from_slice(&data[copied..]);
    Cow::Owned(decoded)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        String::from_utf8(xhtml_escape(text.as_bytes()).into_owned()).unwrap_or_default()
    }

    fn unescaped(data: &str, plus: bool) -> Vec<u8> {
        url_unescape(data.as_bytes(), plus).into_owned()
    }

    #[test]
    fn escapes_what_html_needs() {
        assert_eq!(escaped("<>&\"'"), "&lt;&gt;&amp;&quot;&#x27;");
        assert_eq!(escaped("&amp;"), "&amp;amp;");
        assert_eq!(escaped("<é>"), "&lt;é&gt;");
    }

    #[test]
    fn finds_a_special_byte_anywhere() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            for at in 0..length {
                let mut text = vec![b'x'; length];
                text[at] = b'<';
                assert_eq!(find_special(&text), Some(at));
            }
            assert!(matches!(
                xhtml_escape(&vec![b'x'; length]),
                Cow::Borrowed(_)
            ));
        }
    }

    #[test]
    fn unescapes_urls() {
        assert_eq!(unescaped("a%20b%2B+%41%zz", false), b"a b++A%zz");
        assert_eq!(unescaped("a%20b%2B+%41%zz", true), b"a b+ A%zz");
        assert_eq!(unescaped("%C3%a9", true), "é".as_bytes());
        assert_eq!(unescaped("%%41%4", true), b"%A%4");
        assert_eq!(unescaped("100%", true), b"100%");
        assert!(matches!(url_unescape(b"plain", true), Cow::Borrowed(_)));
        assert!(matches!(url_unescape(b"a+b", false), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_special_is_left(text in ".*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let back = escaped
                .replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
                .replace("&#x27;", "'").replace("&amp;", "&");
            prop_assert_eq!(back, text);
        }

        #[test]
        fn unescapes_what_was_escaped(data: Vec<u8>, plus: bool) {
            let written: String = data.iter().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(unescaped(&written, plus), data);
        }

        #[test]
        fn unescaping_never_grows(data: Vec<u8>, plus: bool) {
            prop_assert!(url_unescape(&data, plus).len() <= data.len());
        }
    }
}
