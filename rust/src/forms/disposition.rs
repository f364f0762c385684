//! The parameters of `Content-Disposition: form-data; name="…"; filename="…"`
//! (RFC 7578 §4.2, RFC 6266 §4.1, RFC 8187 §3.2).

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use crate::escape::url_unescape;

/// What a form needs of a `Content-Disposition`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition<'a> {
    pub name: Option<Cow<'a, str>>,
    pub filename: Option<Cow<'a, str>>,
}

/// Reads the field's value, or `None` if it is malformed, is not `form-data`, or gives a
/// parameter twice, which readers would understand differently.
pub(super) fn parse(value: &str) -> Option<Disposition<'_>> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    if !trim(kind).eq_ignore_ascii_case("form-data") {
        return None;
    }
    let mut found = Disposition::default();
    let mut extended = None;
    while let Some((name, value, after)) = parameter(rest)? {
        rest = after;
        let slot = if name.eq_ignore_ascii_case("name") {
            &mut found.name
        } else if name.eq_ignore_ascii_case("filename") {
            &mut found.filename
        } else if name.eq_ignore_ascii_case("filename*") {
            &mut extended
        } else {
            continue;
        };
        if slot.replace(value).is_some() {
            return None;
        }
    }
    // RFC 6266 §4.3: `filename*` goes before `filename`, where it can be decoded.
    if let Some(decoded) = extended.and_then(|value| decode_extended(&value)) {
        found.filename = Some(Cow::Owned(decoded));
    }
    Some(found)
}

/// A parameter's name, its value, and the text after it.
type Parameter<'a> = (&'a str, Cow<'a, str>, &'a str);

/// The next parameter; `Some(None)` at the end, `None` if it is malformed.
fn parameter(text: &str) -> Option<Option<Parameter<'_>>> {
    let text = text.trim_start_matches([' ', '\t', ';']);
    if text.is_empty() {
        return Some(None);
    }
    let equals = memchr2(b'=', b';', text.as_bytes()).filter(|&at| text.as_bytes()[at] == b'=')?;
    let (name, value) = (
        trim(&text[..equals]),
        text[equals + 1..].trim_start_matches([' ', '\t']),
    );
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, rest) = quoted_string(quoted)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let ends = rest.is_empty() || rest.starts_with(';');
        return ends.then_some(Some((name, value, rest)));
    }
    let (value, rest) = value.split_at(memchr(b';', value.as_bytes()).unwrap_or(value.len()));
    Some(Some((name, Cow::Borrowed(trim(value)), rest)))
}

/// The value of a quoted string whose opening quote has been read, and the text after its end.
///
/// Only `\"` and `\\` are escapes: some clients send file names with the bare backslashes of a
/// Windows path in them.
fn quoted_string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut value = Cow::Borrowed("");
    let (mut at, mut copied) = (0, 0);
    loop {
        at += memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            let (last, rest) = (&text[copied..at], &text[at + 1..]);
            return Some((
                if copied == 0 {
                    Cow::Borrowed(last)
                } else {
                    value + last
                },
                rest,
            ));
        }
        if matches!(bytes.get(at + 1), Some(b'"' | b'\\')) {
            value += &text[copied..at];
            copied = at + 1;
            at += 1;
        }
        at += 1;
    }
}

/// `charset'language'percent-encoded`; `None` if it is not that, or in another charset than the
/// two that RFC 5987 §3.2 names.
fn decode_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !is_percent_encoded(encoded.as_bytes()) {
        return None;
    }
    let bytes = url_unescape(encoded.as_bytes(), false);
    let decoded = if charset.eq_ignore_ascii_case("utf-8") {
        String::from_utf8(bytes.into_owned()).ok()?
    } else if charset.eq_ignore_ascii_case("iso-8859-1") {
        bytes.iter().copied().map(char::from).collect()
    } else {
        return None;
    };
    // What no header field could carry as it is shall not come in by an escape.
    let usable = !decoded.is_empty() && !decoded.chars().any(char::is_control);
    usable.then_some(decoded)
}

/// Whether two hexadecimal digits follow each `%` (RFC 8187 §3.2.1).
fn is_percent_encoded(text: &[u8]) -> bool {
    memchr_iter(b'%', text).all(|at| {
        text.get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file_name(parameters: &str) -> Option<String> {
        let value = format!("form-data; name=n; {parameters}");
        parse(&value).and_then(|found| found.filename.map(Cow::into_owned))
    }

    #[test]
    fn reads_names() {
        for value in [
            r#"form-data; name="a b"; filename="f;"#.to_owned() + "\"",
            r#"Form-Data ;NAME = "a b" ; x=y; FileName=f;;"#.to_owned(),
        ] {
            let found = parse(&value).unwrap_or_default();
            assert_eq!(found.name.as_deref(), Some("a b"), "{value}");
            assert!(found.filename.is_some_and(|name| name.starts_with('f')));
        }
        assert_eq!(parse("form-data"), Some(Disposition::default()));
    }

    #[test]
    fn reads_quoted_strings() {
        for (written, meant) in [
            (r#"filename="""#, ""),
            (r#"filename="a;b=c""#, "a;b=c"),
            (r#"filename="a\"b\\c""#, r#"a"b\c"#),
            (r#"filename="\\\"""#, r#"\""#),
            (r#"filename="C:\dir\f.txt""#, r"C:\dir\f.txt"),
            ("filename=测试.txt", "测试.txt"),
            ("filename=a b.txt ; x=y", "a b.txt"),
        ] {
            assert_eq!(file_name(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn prefers_the_extended_file_name() {
        for (written, meant) in [
            ("filename=a; filename*=UTF-8''%C3%A1%27b", "á'b"),
            ("filename*=utf-8'en'x+y; filename=a", "x+y"),
            ("filename*=iso-8859-1''%E9", "é"),
            ("filename*=utf-8''%E9; filename=a", "a"),
            ("filename*=koi8-r''%E9; filename=a", "a"),
            ("filename*=nonsense; filename=a", "a"),
            ("filename*=utf-8''; filename=a", "a"),
            ("filename*=utf-8''b%; filename=a", "a"),
            ("filename*=utf-8''b%4; filename=a", "a"),
            ("filename*=utf-8''%zz; filename=a", "a"),
            ("filename*=utf-8''b%0Ac; filename=a", "a"),
            ("filename*=utf-8''b%00; filename=a", "a"),
            ("filename*=iso-8859-1''b%85; filename=a", "a"),
        ] {
            assert_eq!(file_name(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn rejects_the_malformed() {
        for value in [
            "attachment; name=a",
            "",
            "form-data; name",
            "form-data; name; x=y",
            "form-data; name=\"a",
            "form-data; name=\"a\\\"",
            "form-data; name=\"a\"b",
            "form-data; name=a; name=b",
            "form-data; name=a; filename=b; filename=c",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(name in ".*", filename in ".*") {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let value =
                format!("form-data; name=\"{}\"; filename=\"{}\"", quote(&name), quote(&filename));
            let found = parse(&value).unwrap_or_default();
            prop_assert_eq!(found.name.as_deref(), Some(&*name));
            prop_assert_eq!(found.filename.as_deref(), Some(&*filename));
        }

        #[test]
        fn never_panics(value in "(form-data;)?[ -~]*") {
            let _ = parse(&value);
        }
    }
}
