use super::*;
use proptest::prelude::*;

const BOUNDARY: &[u8] = b"1234";
const NAMED: &str = "Content-Disposition: form-data; name=\"a\"";

/// A body of one part with these header lines (each line ended) and this content.
fn body_of(header: &str, content: &str) -> Vec<u8> {
    format!("--1234\r\n{header}\r\n{content}\r\n--1234--").into_bytes()
}

fn error_of(data: impl AsRef<[u8]>) -> Option<Error> {
    parse(BOUNDARY, data.as_ref(), Limits::default()).err()
}

fn contents(data: impl AsRef<[u8]>) -> Result<Vec<String>, Error> {
    let data = data.as_ref();
    let parts = parse(BOUNDARY, data, Limits::default())?;
    Ok(parts
        .into_iter()
        .map(|p| String::from_utf8_lossy(&data[p.body]).into_owned())
        .collect())
}

#[test]
fn reads_fields_and_files() {
    let data = b"--1234\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
        --1234 \t\r\ncontent-disposition: form-data; name=f; filename=\"x.png\"\r\n\
        Content-Type: image/png\r\nX-Other: \xc3\xa9\r\n\r\nline\r\n\r\n--123\r\n\
        --1234--\r\nepilogue --1234";
    let parts = parse(b"1234", data, Limits::default()).unwrap_or_default();
    let [a, f] = &parts[..] else {
        unreachable!("{parts:?}")
    };
    assert_eq!(
        (&*a.name, a.filename.as_deref(), a.content_type),
        ("a", None, None)
    );
    assert_eq!(&data[a.body.clone()], b"1");
    assert_eq!(
        (&*f.name, f.filename.as_deref(), f.content_type),
        ("f", Some("x.png"), Some("image/png"))
    );
    assert_eq!(&data[f.body.clone()], b"line\r\n\r\n--123");
}

#[test]
fn takes_quotes_off_the_boundary() {
    let data = body_of(&format!("{NAMED}\r\n"), "x");
    let parts = parse(b"\"1234\"", &data, Limits::default());
    assert_eq!(parts.map(|parts| parts.len()), Ok(1));
}

#[test]
fn ignores_what_is_around_the_parts() {
    let one = || Ok(vec!["x".to_owned()]);
    assert_eq!(
        contents(format!("\r\n--1234\r\n{NAMED}\r\n\r\nx\r\n--1234--")),
        one()
    );
    assert_eq!(
        contents(format!(
            "hello --1234\r\n--1234\r\n{NAMED}\r\n\r\nx\r\n--1234--"
        )),
        one()
    );
    assert_eq!(
        contents(format!(
            "--1234\r\n{NAMED}\r\n\r\nx\r\n--1234--\r\n--1234\r\n"
        )),
        one()
    );
    assert_eq!(contents("--1234--\r\n"), Ok(vec![]));
}

#[test]
fn reads_empty_bodies() {
    let empty = || Ok(vec![String::new()]);
    assert_eq!(contents(body_of(&format!("{NAMED}\r\n"), "")), empty());
    // The delimiter's line break is at the same time the one after the header fields.
    assert_eq!(
        contents(format!("--1234\r\n{NAMED}\r\n\r\n--1234--")),
        empty()
    );
}

#[test]
fn rejects_malformed_delimiters() {
    assert_eq!(
        parse(b"", b"----", Limits::default()),
        Err(Error::NoBoundary)
    );
    assert_eq!(
        parse(b"\"\"", b"----", Limits::default()),
        Err(Error::NoBoundary)
    );
    for data in [
        "".to_owned(),
        "--1234".to_owned(),
        "--1234\r".to_owned(),
        "--1234\r\n".to_owned(),
        format!("--1234\r\n{NAMED}\r\n\r\nx"),
        format!("--1234\r\n{NAMED}\r\n\r\nx--1234--"),
        format!("--1234\r\n{NAMED}\r\n\r\nx\n--1234--"),
        format!("--1234\r\n{NAMED}\r\n\r\nx\r\n--1234\r\n"),
        "--1234\r\n--1234--".to_owned(),
    ] {
        assert_eq!(error_of(&data), Some(Error::NoFinalBoundary), "{data:?}");
    }
    for data in [
        "--12345\r\n".to_owned(),
        "--1234\n".to_owned(),
        "--1234-\r\n".to_owned(),
        format!("--1234\r\n{NAMED}\r\n\r\nx\r\n--1234x\r\n--1234--"),
    ] {
        assert_eq!(error_of(&data), Some(Error::BadDelimiter), "{data:?}");
    }
}

#[test]
fn rejects_malformed_parts() {
    for (header, error) in [
        ("", Error::MissingHeaders),
        ("no colon\r\n", Error::BadHeaderName),
        (": x\r\n", Error::BadHeaderName),
        (
            "Content-Disposition : form-data; name=a\r\n",
            Error::BadHeaderName,
        ),
        (
            "Content-Disposition: form-data;\r\n name=a\r\n",
            Error::BadHeaderName,
        ),
        (
            "Content-Disposition: form-data; name=a\rb\r\n",
            Error::BadHeaderValue,
        ),
        (
            "Content-Disposition: form-data; name=a\nb\r\n",
            Error::BadHeaderValue,
        ),
        (
            "Content-Disposition: form-data; name=a\0b\r\n",
            Error::BadHeaderValue,
        ),
        (
            "Content-Disposition: form-data; name=a\x7f\r\n",
            Error::BadHeaderValue,
        ),
        ("Content-Type: text/plain\r\n", Error::BadDisposition),
        (
            "Content-Disposition: invalid; name=a\r\n",
            Error::BadDisposition,
        ),
        (
            "Content-Disposition: form-data; name=\"a\r\n",
            Error::BadDisposition,
        ),
        (
            "Content-Disposition: form-data; name=a; name=b\r\n",
            Error::BadDisposition,
        ),
        (
            "Content-Disposition: form-data; filename=a\r\n",
            Error::MissingName,
        ),
        (
            "Content-Disposition: form-data; name=\"\"\r\n",
            Error::MissingName,
        ),
    ] {
        assert_eq!(error_of(body_of(header, "x")), Some(error), "{header:?}");
    }
    let twice = format!("{NAMED}\r\n{NAMED}\r\n");
    assert_eq!(error_of(body_of(&twice, "x")), Some(Error::BadDisposition));
    assert_eq!(
        error_of("--1234\r\nb\r\n--1234--"),
        Some(Error::MissingHeaders)
    );
    let latin1 = b"--1234\r\nContent-Disposition: form-data; name=\xe9\r\n\r\n\r\n--1234--";
    assert_eq!(error_of(latin1), Some(Error::BadHeaderValue));
}

#[test]
fn bounds_the_number_of_parts() {
    let part = format!("--1234\r\n{NAMED}\r\n\r\nx\r\n");
    for (parts, max_parts, fits) in [
        (1, 1, true),
        (2, 1, false),
        (1, 0, false),
        (0, 0, true),
        (100, 100, true),
    ] {
        let data = part.repeat(parts) + "--1234--";
        let limits = Limits {
            max_parts,
            ..Limits::default()
        };
        let expected = if fits {
            Ok(parts)
        } else {
            Err(Error::TooManyParts)
        };
        assert_eq!(
            parse(BOUNDARY, data.as_bytes(), limits).map(|p| p.len()),
            expected
        );
    }
}

#[test]
fn bounds_the_size_of_header_fields() {
    let size = NAMED.len();
    let bodies = [
        body_of(&format!("{NAMED}\r\n"), ""),
        body_of(&format!("{NAMED}\r\n"), &"x".repeat(999)),
    ];
    let without_body = format!("--1234\r\n{NAMED}\r\n\r\n--1234--").into_bytes();
    for data in bodies.iter().chain([&without_body]) {
        for (max_part_header_size, fits) in [
            (size, true),
            (size - 1, false),
            (size + 1, true),
            (usize::MAX, true),
            (0, false),
        ] {
            let limits = Limits {
                max_part_header_size,
                ..Limits::default()
            };
            let expected = if fits {
                Ok(1)
            } else {
                Err(Error::HeaderTooLarge)
            };
            assert_eq!(parse(BOUNDARY, data, limits).map(|p| p.len()), expected);
        }
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        prop::collection::vec(prop::sample::select(&b"\r\n-12"[..]), 0..40)
    ]
}

proptest! {
    #[test]
    fn round_trip(
        parts in prop::collection::vec(
            ("[^\\p{Cc}]{1,20}", prop::option::of("[^\\p{Cc}]{0,20}"), content()), 0..8),
        preamble: bool,
    ) {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut data = if preamble { b"preamble\r\n".to_vec() } else { vec![] };
        for (name, filename, content) in &parts {
            prop_assume!(!content.windows(6).any(|six| six == b"--1234"));
            let filename =
                filename.iter().map(|f| format!("; filename=\"{}\"", quote(f))).collect::<String>();
            data.extend_from_slice(format!(
                "--1234\r\nContent-Disposition: form-data; name=\"{}\"{filename}\r\n\r\n",
                quote(name)).as_bytes());
            data.extend_from_slice(content);
            data.extend_from_slice(b"\r\n");
        }
        data.extend_from_slice(b"--1234--\r\n");
        let read = parse(BOUNDARY, &data, Limits::default()).map(|read| {
            read.into_iter()
                .map(|p| (p.name.into_owned(), p.filename.map(Cow::into_owned), data[p.body].to_vec()))
                .collect::<Vec<_>>()
        });
        prop_assert_eq!(read, Ok(parts));
    }

    #[test]
    fn ranges_are_in_the_body_and_in_order(
        data in "(preamble\r\n)?(--12(\r\n(Content-Disposition: form-data; name=a\r\n|\r\n|x|--)*)?\r\n)*",
    ) {
        let mut last = 0;
        for part in parse(b"12", data.as_bytes(), Limits::default()).unwrap_or_default() {
            prop_assert!(last <= part.body.start && part.body.start <= part.body.end);
            prop_assert!(part.body.end <= data.len());
            last = part.body.end;
        }
    }

    #[test]
    fn never_panics(boundary: Vec<u8>, data: Vec<u8>) {
        let _ = parse(&boundary, &data, Limits::default());
    }
}
