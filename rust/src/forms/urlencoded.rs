//! `application/x-www-form-urlencoded`: query strings and simple forms
//! (WHATWG URL Standard, section 5.1).
//!
//! Fields are separated by `&`; in each the first `=` separates name and value; `+` is a space and
//! `%XX` a byte. Empty fields mean nothing. One pass, no memory but for what is decoded.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr_iter};

use crate::escape::url_unescape;

/// Fields in one query string or body, unless the user says otherwise: what Tornado 6.6 allows,
/// as do Django, PHP and Express. Each field costs objects many times its size.
pub const MAX_FIELDS: usize = 1000;

/// How to read fields.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Fields allowed, counted by their separators; `usize::MAX` for any number.
    pub max_fields: usize,
    /// Keep fields whose value is empty.
    pub keep_blank_values: bool,
    /// Treat an empty field, or one without `=`, as an error.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_fields: MAX_FIELDS,
            keep_blank_values: true,
            strict: false,
        }
    }
}

/// Why fields could not be read. All of these are the client's mistake (status 400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There are more fields than allowed.
    TooManyFields,
    /// With [`Options::strict`]: this field has no `=`.
    BadField(Vec<u8>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyFields => f.write_str("Max number of fields exceeded"),
            Self::BadField(field) => {
                write!(f, "bad query field: \"{}\"", field.escape_ascii())
            }
        }
    }
}

impl std::error::Error for Error {}

/// A name and a value, both decoded.
pub type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The fields of `data`, in order.
///
/// # Errors
/// If there are more fields than allowed, before any is read; each field of its own in strict mode.
pub fn parse(
    data: &[u8],
    options: Options,
) -> Result<impl Iterator<Item = Result<Field<'_>, Error>>, Error> {
    let separators = memchr_iter(b'&', data).take(options.max_fields).count();
    if separators >= options.max_fields && !data.is_empty() {
        return Err(Error::TooManyFields);
    }
    let fields = if data.is_empty() {
        None
    } else {
        Some(data.split(|&byte| byte == b'&'))
    };
    Ok(fields.into_iter().flatten().filter_map(move |field| {
        let (name, value) = match memchr(b'=', field) {
            Some(equals) => (&field[..equals], &field[equals + 1..]),
            None if options.strict => return Some(Err(Error::BadField(field.to_vec()))),
            None => (field, &field[field.len()..]),
        };
        let wanted = !field.is_empty() && (options.keep_blank_values || !value.is_empty());
        wanted.then(|| Ok((url_unescape(name, true), url_unescape(value, true))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = Vec<(Vec<u8>, Vec<u8>)>;

    fn read(data: &[u8], options: Options) -> Result<Owned, Error> {
        parse(data, options)?
            .map(|field| field.map(|(name, value)| (name.into_owned(), value.into_owned())))
            .collect()
    }

    fn fields(pairs: &[(&str, &str)]) -> Owned {
        pairs
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn reads_fields() {
        let lenient = Options::default();
        assert_eq!(
            read(b"a=1&b=%41+%2B&&a=2&c&d=&e==f", lenient),
            Ok(fields(&[
                ("a", "1"),
                ("b", "A +"),
                ("a", "2"),
                ("c", ""),
                ("d", ""),
                ("e", "=f")
            ]))
        );
        assert_eq!(read(b"", lenient), Ok(vec![]));
        assert_eq!(read(b"=v", lenient), Ok(fields(&[("", "v")])));
    }

    #[test]
    fn leaves_out_blank_values_when_told() {
        let options = Options {
            keep_blank_values: false,
            ..Options::default()
        };
        assert_eq!(read(b"a=1&c&d=", options), Ok(fields(&[("a", "1")])));
    }

    #[test]
    fn strict_wants_an_equals_sign() {
        let options = Options {
            strict: true,
            ..Options::default()
        };
        assert_eq!(read(b"a=1", options), Ok(fields(&[("a", "1")])));
        assert_eq!(read(b"a=1&b", options), Err(Error::BadField(b"b".to_vec())));
        assert_eq!(read(b"a=1&&b=2", options), Err(Error::BadField(vec![])));
        assert_eq!(read(b"", options), Ok(vec![]));
    }

    #[test]
    fn bounds_the_number_of_fields() {
        let body = |count: usize| vec!["a=b"; count].join("&").into_bytes();
        let options = |max_fields| Options {
            max_fields,
            ..Options::default()
        };
        for (count, max, fits) in [
            (3, 3, true),
            (4, 3, false),
            (1, 0, false),
            (1000, 1000, true),
            (1001, 1000, false),
        ] {
            let expected = if fits {
                Ok(count)
            } else {
                Err(Error::TooManyFields)
            };
            assert_eq!(read(&body(count), options(max)).map(|f| f.len()), expected);
        }
        assert_eq!(read(b"", options(0)), Ok(vec![]));
        assert_eq!(
            read(&[b'&'; 4000], options(1000)),
            Err(Error::TooManyFields)
        );
    }

    proptest! {
        #[test]
        fn round_trip(fields: Vec<(Vec<u8>, Vec<u8>)>) {
            let escape = |data: &[u8]| data.iter().map(|b| match b {
                b' ' => "+".to_owned(),
                b'a'..=b'z' => char::from(*b).to_string(),
                _ => format!("%{b:02x}"),
            }).collect::<String>();
            let body: Vec<String> =
                fields.iter().map(|(n, v)| format!("{}={}", escape(n), escape(v))).collect();
            let read = read(body.join("&").as_bytes(), Options::default());
            prop_assert_eq!(read, Ok(fields));
        }

        #[test]
        fn output_is_bounded_by_input(data: Vec<u8>) {
            for (name, value) in read(&data, Options::default()).unwrap_or_default() {
                prop_assert!(name.len() + value.len() <= data.len());
            }
        }
    }
}
