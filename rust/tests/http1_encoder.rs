//! What the encoder writes, and what it refuses to write.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use _core::headers::Headers;
use _core::http1::{EncodeError, Encoder};
use support::answering;

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.add(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";
const GET_10_STAY: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const CONNECT: &str = "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A whole response as it goes over the wire, and whether the connection stays.
fn respond(request: &str, status: u16, fields: &[(&str, &str)], body: &[u8]) -> (String, bool) {
    let mut encoder = answering(request.as_bytes());
    let mut out = Vec::new();
    encoder
        .response(&mut out, status, b"X", &headers(fields))
        .unwrap();
    encoder.data(&mut out, body).unwrap();
    encoder.end(&mut out).unwrap();
    assert!(!encoder.is_open() && !encoder.expects_head());
    (String::from_utf8(out).unwrap(), encoder.keep_alive())
}

#[test]
fn framing_follows_request_and_headers() {
    for (request, status, fields, expected, stays) in [
        (
            GET,
            200,
            &[("Content-Length", "2")][..],
            "Content-Length: 2\r\n\r\nab",
            true,
        ),
        (
            GET,
            200,
            &[],
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            true,
        ),
        (GET_10, 200, &[], "\r\nab", false),
        (GET_10_STAY, 200, &[], "Connection: close\r\n\r\nab", false),
        (
            GET_10_STAY,
            200,
            &[("Content-Length", "2")],
            "Content-Length: 2\r\nConnection: Keep-Alive\r\n\r\nab",
            true,
        ),
        (
            GET_CLOSE,
            200,
            &[("Content-Length", "2")],
            "Content-Length: 2\r\nConnection: close\r\n\r\nab",
            false,
        ),
        (
            GET,
            200,
            &[("Content-Length", "2"), ("Connection", "close")],
            "Content-Length: 2\r\nConnection: close\r\n\r\nab",
            false,
        ),
        (
            HEAD,
            200,
            &[("Content-Length", "2")],
            "Content-Length: 2\r\n\r\n",
            true,
        ),
        (HEAD, 200, &[], "\r\n", true),
        (
            GET,
            204,
            &[("Content-Length", "2"), ("A", "b")],
            "A: b\r\n\r\n",
            true,
        ),
        (
            GET,
            304,
            &[("Content-Length", "9")],
            "Content-Length: 9\r\n\r\n",
            true,
        ),
        (
            GET,
            101,
            &[("Upgrade", "x"), ("Connection", "upgrade")],
            "Upgrade: x\r\nConnection: upgrade\r\n\r\n",
            true,
        ),
    ] {
        let (written, keep_alive) = respond(request, status, fields, b"ab");
        assert_eq!(written, format!("HTTP/1.1 {status} X\r\n{expected}"));
        assert_eq!(keep_alive, stays, "{written}");
    }
}

#[test]
fn a_tunnel_has_no_length() {
    let (written, keep_alive) = respond(CONNECT, 200, &[("Content-Length", "9")], b"ab");
    assert_eq!(written, "HTTP/1.1 200 X\r\nConnection: close\r\n\r\nab");
    assert!(!keep_alive);
    let (written, keep_alive) = respond(CONNECT, 403, &[("Content-Length", "2")], b"ab");
    assert_eq!(written, "HTTP/1.1 403 X\r\nContent-Length: 2\r\n\r\nab");
    assert!(keep_alive);
}

#[test]
fn closing_is_said_whatever_the_application_says() {
    for (request, said) in [(GET_CLOSE, "keep-alive"), (GET_10, "Keep-Alive")] {
        let fields = [("Connection", said), ("Content-Length", "0")];
        let (written, keep_alive) = respond(request, 200, &fields, b"");
        assert!(written.ends_with("Connection: close\r\n\r\n"), "{written}");
        assert!(!keep_alive);
    }
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let mut encoder = answering(GET_CLOSE.as_bytes());
    let mut out = Vec::new();
    encoder
        .response(&mut out, 103, b"Early", &headers(&[("Link", "<a>")]))
        .unwrap();
    assert!(encoder.expects_head() && !encoder.is_open());
    encoder
        .response(&mut out, 204, b"X", &headers(&[]))
        .unwrap();
    encoder.end(&mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 103 Early\r\nLink: <a>\r\n\r\nHTTP/1.1 204 X\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn http_1_0_gets_no_interim_response() {
    let mut encoder = answering(GET_10.as_bytes());
    let mut out = Vec::new();
    encoder
        .response(&mut out, 103, b"Early", &headers(&[("Link", "<a>")]))
        .unwrap();
    assert!(out.is_empty() && encoder.expects_head());
}

#[test]
fn lengths_are_kept() {
    let mut out = Vec::new();
    let mut encoder = answering(GET.as_bytes());
    encoder
        .response(&mut out, 200, b"", &headers(&[("Content-Length", "3")]))
        .unwrap();
    let head = out.len();
    assert_eq!(
        encoder.data(&mut out, b"1234"),
        Err(EncodeError::TooMuchData)
    );
    assert_eq!(encoder.data_elsewhere(4), Err(EncodeError::TooMuchData));
    assert_eq!(
        out.len(),
        head,
        "nothing has been written by a refused call"
    );
    encoder.data(&mut out, b"1").unwrap();
    assert_eq!(encoder.data_elsewhere(1), Ok(true));
    assert_eq!(encoder.end(&mut out), Err(EncodeError::TooLittleData));
    assert!(!encoder.keep_alive());
    assert_eq!(encoder.end(&mut out), Err(EncodeError::NoHead));
}

#[test]
fn an_empty_piece_is_not_the_last_chunk() {
    let (written, _) = respond(GET, 200, &[], b"");
    assert!(written.ends_with("chunked\r\n\r\n0\r\n\r\n"), "{written}");
}

#[test]
fn calls_out_of_order_are_refused() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new();
    let none = headers(&[]);
    assert_eq!(
        encoder.response(&mut out, 200, b"", &none),
        Err(EncodeError::HeadNotExpected)
    );
    assert_eq!(encoder.data(&mut out, b"a"), Err(EncodeError::NoHead));
    assert_eq!(encoder.data_elsewhere(1), Err(EncodeError::NoHead));
    assert_eq!(encoder.end(&mut out), Err(EncodeError::NoHead));
    encoder.answer_malformed();
    encoder.response(&mut out, 400, b"", &none).unwrap();
    assert_eq!(
        encoder.response(&mut out, 200, b"", &none),
        Err(EncodeError::HeadNotExpected)
    );
    assert!(!encoder.keep_alive());
}

#[test]
fn what_could_split_a_message_is_refused() {
    let mut out = Vec::new();
    let none = headers(&[]);
    for reason in ["a\r\nb: c", "a\n", "a\0", "a\x7f"] {
        let refused = answering(GET.as_bytes()).response(&mut out, 200, reason.as_bytes(), &none);
        assert_eq!(refused, Err(EncodeError::StartLine));
    }
    for status in [0, 99, 1000, u16::MAX] {
        let refused = answering(GET.as_bytes()).response(&mut out, status, b"", &none);
        assert_eq!(refused, Err(EncodeError::Status));
    }
    for (method, target) in [
        ("", "/"),
        ("G T", "/"),
        ("GET\n", "/"),
        ("GET", ""),
        ("GET", "/ "),
        ("GET", "/\r\n"),
        ("GET", "/\u{e9}"),
    ] {
        let refused = Encoder::new().request(&mut out, method.as_bytes(), target.as_bytes(), &none);
        assert_eq!(refused, Err(EncodeError::StartLine), "{method} {target}");
    }
    for length in ["", "-1", "+1", "1, 1", "0x1", "1 1", "1234567890123456789"] {
        let fields = headers(&[("Content-Length", length)]);
        let refused = answering(GET.as_bytes()).response(&mut out, 200, b"", &fields);
        assert_eq!(refused, Err(EncodeError::ContentLength), "{length}");
        let refused = Encoder::new().request(&mut out, b"GET", b"/", &fields);
        assert_eq!(refused, Err(EncodeError::ContentLength), "{length}");
    }
    assert!(out.is_empty());
}

#[test]
fn ambiguous_framing_is_refused() {
    let mut out = Vec::new();
    for fields in [
        [("Content-Length", "1"), ("Content-Length", "2")],
        [("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Content-Length", "0")],
    ] {
        let fields = headers(&fields);
        let refused = answering(GET.as_bytes()).response(&mut out, 200, b"", &fields);
        assert_eq!(refused, Err(EncodeError::Framing));
        let refused = Encoder::new().request(&mut out, b"POST", b"/", &fields);
        assert_eq!(refused, Err(EncodeError::Framing));
    }
    assert!(out.is_empty());
}

#[test]
fn requests_have_the_body_that_their_headers_say() {
    for (fields, body, expected) in [
        (
            &[("Host", "a")][..],
            "ab",
            "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        ),
        (
            &[("Content-Length", "2")],
            "ab",
            "Content-Length: 2\r\n\r\nab",
        ),
        (
            &[("Transfer-Encoding", "chunked")],
            "ab",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        ),
    ] {
        let mut out = Vec::new();
        let mut encoder = Encoder::new();
        encoder
            .request(&mut out, b"POST", b"/", &headers(fields))
            .unwrap();
        encoder.data(&mut out, body.as_bytes()).unwrap();
        encoder.end(&mut out).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert_eq!(written, format!("POST / HTTP/1.1\r\n{expected}"));
        assert!(encoder.keep_alive());
    }
}

#[test]
fn a_request_without_a_length_has_no_body_unless_its_method_is_about_one() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new();
    encoder
        .request(
            &mut out,
            b"DELETE",
            b"/",
            &headers(&[("Connection", "close")]),
        )
        .unwrap();
    assert_eq!(encoder.data(&mut out, b"a"), Err(EncodeError::TooMuchData));
    assert_eq!(
        encoder.request(&mut out, b"GET", b"/", &headers(&[])),
        Err(EncodeError::HeadNotExpected)
    );
    encoder.end(&mut out).unwrap();
    assert!(!encoder.keep_alive());
}
