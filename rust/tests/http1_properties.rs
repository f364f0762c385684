//! What holds for every message, not only for those that somebody thought of.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use _core::headers::{Headers, trim_ows};
use _core::http1::{Encoder, Role};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Conversation, Seen, Trace};

/// How the body of a generated message is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length,
    Chunked,
    UntilClose,
}

#[derive(Debug, Clone)]
struct Message {
    /// Method and target, or status and reason.
    line: (Vec<u8>, Vec<u8>),
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    framing: Framing,
    pieces: Vec<Vec<u8>>,
}

/// Names that say nothing about framing or the connection.
fn field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let byte = prop_oneof![Just(b'\t'), b' '..=b'~', 0x80..=0xff_u8];
    ("X-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,20}", vec(byte, 0..40))
        .prop_map(|(name, value)| (name.into_bytes(), value))
}

fn message(
    line: impl Strategy<Value = (Vec<u8>, Vec<u8>)>,
    last: Framing,
) -> impl Strategy<Value = Message> {
    let framing = prop_oneof![
        Just(Framing::None),
        Just(Framing::Length),
        Just(Framing::Chunked),
        Just(last)
    ];
    let pieces = vec(vec(any::<u8>(), 0..200), 0..6);
    (line, vec(field(), 0..20), framing, pieces).prop_map(|(line, fields, framing, pieces)| {
        Message {
            line,
            fields,
            framing,
            pieces: if framing == Framing::None {
                vec![]
            } else {
                pieces
            },
        }
    })
}

fn request() -> impl Strategy<Value = Message> {
    let line = ("[A-Z]{1,10}", "/[!-\"$-~]{0,50}")
        .prop_filter("CONNECT has another target", |(method, _)| {
            method != "CONNECT"
        })
        .prop_map(|(method, target)| (method.into_bytes(), target.into_bytes()));
    message(line, Framing::Length)
}

fn response() -> impl Strategy<Value = Message> {
    let has_body = |status: &u16| ![204, 304].contains(status);
    let line = (
        (200..1000_u16).prop_filter("a body", has_body),
        "[ -~]{0,30}",
    )
        .prop_map(|(status, reason)| (status.to_string().into_bytes(), reason.into_bytes()));
    message(line, Framing::UntilClose)
}

impl Message {
    fn content(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in &self.fields {
            headers.add(name, value).unwrap();
        }
        headers
    }

    fn send_body(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            encoder.data(out, piece).unwrap();
        }
        encoder.end(out).unwrap();
    }

    fn write_request(&self, out: &mut Vec<u8>) {
        let mut headers = self.headers();
        headers.add(b"Host", b"a").unwrap();
        match self.framing {
            Framing::Chunked => headers.add(b"Transfer-Encoding", b"chunked").unwrap(),
            Framing::Length => {
                let length = self.content().len().to_string();
                headers.add(b"Content-Length", length.as_bytes()).unwrap();
            }
            Framing::None | Framing::UntilClose => {}
        }
        let mut encoder = Encoder::new();
        encoder
            .request(out, &self.line.0, &self.line.1, &headers)
            .unwrap();
        self.send_body(&mut encoder, out);
    }

    fn write_response(&self, out: &mut Vec<u8>) {
        let mut request = Vec::new();
        request.extend_from_slice(match self.framing {
            Framing::UntilClose => b"GET / HTTP/1.0\r\n\r\n",
            _ => b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        });
        let mut encoder = support::answering(&request);
        let mut headers = self.headers();
        if matches!(self.framing, Framing::Length | Framing::None) {
            let length = self.content().len().to_string();
            headers.add(b"Content-Length", length.as_bytes()).unwrap();
        }
        let status = String::from_utf8(self.line.0.clone()).unwrap();
        encoder
            .response(out, status.parse().unwrap(), &self.line.1, &headers)
            .unwrap();
        self.send_body(&mut encoder, out);
    }

    /// Whether these events are this message.
    fn is_seen_as(&self, seen: &[Seen]) -> bool {
        let content = self.content();
        let (head, data) = match seen {
            [head, Seen::Data(data), Seen::End(trailers)] if trailers.is_empty() => {
                (head, &data[..])
            }
            [head, Seen::End(trailers)] if trailers.is_empty() => (head, &[][..]),
            _ => return false,
        };
        let Seen::Head(summary, fields) = head else {
            return false;
        };
        let start = format!(
            "{} {} ",
            self.line.0.escape_ascii(),
            self.line.1.escape_ascii()
        );
        let expected = self.headers();
        let written = expected.iter().map(|(name, value)| {
            let line = format!(
                "{}: {}",
                name.escape_ascii(),
                trim_ows(value).escape_ascii()
            );
            line.trim_end().to_owned()
        });
        let kept = fields
            .iter()
            .filter(|field| field.starts_with("X-"))
            .cloned();
        summary.starts_with(&start) && written.eq(kept) && data == content
    }
}

/// Cut `input` at these places, modulo its length.
fn cut<'a>(input: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place % (input.len() + 1))
        .collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &input[pair[0]..pair[1]])
        .collect()
}

/// Bytes that go far into a parser before they go wrong.
fn nearly_http() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n", "GET / HTTP/1.0\r\n", "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 100 Continue\r\n", "HTTP/1.1 304 \r\n", "HTTP/1.0 200\r\n", "OPTIONS * HTTP/1.1\r\n",
            "CONNECT a:1 HTTP/1.1\r\n", "Host: a\r\n", "Content-Length: 5\r\n", "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Connection: upgrade\r\n",
            "Upgrade: x\r\n", "Expect: 100-continue\r\n", "X: y\r\n",
        ]),
        2 => prop::sample::select(vec![
            "\r\n", "\r", "\n", " ", "\t", ":", ";", "hello", "5\r\nhello\r\n", "0\r\n", "0\r\n\r\n", "5;a=b\r\n",
            "ffffffffffffffff", "\u{0}", "\u{e9}",
        ]),
    ];
    let bytes = vec(any::<u8>(), 0..5);
    vec(
        prop_oneof![9 => word.prop_map(|w| w.as_bytes().to_vec()), 1 => bytes],
        0..25,
    )
    .prop_map(|words| words.concat())
}

fn conversation() -> impl Strategy<Value = Conversation> {
    (
        any::<bool>(),
        any::<bool>(),
        0..3_usize,
        0..300_usize,
        0..20_u64,
    )
        .prop_map(|(server, eof, method, head, body)| {
            let mut conversation =
                Conversation::new(if server { Role::Server } else { Role::Client });
            conversation.method = [&b"GET"[..], b"HEAD", b"CONNECT"][method].to_vec();
            conversation.eof = eof;
            if head < 150 {
                conversation.limits.max_head_size = head;
                conversation.limits.max_body_size = body;
            }
            conversation
        })
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        conversation in conversation(),
        input in nearly_http(),
        places in vec(any::<usize>(), 0..10),
    ) {
        let whole = conversation.run([&input[..]]);
        prop_assert_eq!(conversation.run(cut(&input, &places)).lines(), whole.lines());
        prop_assert_eq!(conversation.run(input.chunks(1)).lines(), whole.lines());
    }

    #[test]
    fn random_bytes_do_no_harm(
        conversation in conversation(),
        input in vec(any::<u8>(), 0..2000),
    ) {
        let whole = conversation.run([&input[..]]);
        prop_assert_eq!(conversation.run(input.chunks(1)).lines(), whole.lines());
    }

    #[test]
    fn requests_come_out_as_they_went_in(
        messages in vec(request(), 1..4),
        places in vec(any::<usize>(), 0..5),
    ) {
        let mut wire = Vec::new();
        for message in &messages {
            message.write_request(&mut wire);
        }
        let trace = Conversation::new(Role::Server).run(cut(&wire, &places));
        check(&messages, &trace)?;
    }

    #[test]
    fn responses_come_out_as_they_went_in(
        messages in vec(response(), 1..4),
        places in vec(any::<usize>(), 0..5),
    ) {
        // What is delimited by close is the last one.
        let closing = messages.iter().position(|message| message.framing == Framing::UntilClose);
        let messages = &messages[..closing.map_or(messages.len(), |index| index + 1)];
        let mut wire = Vec::new();
        for message in messages {
            message.write_response(&mut wire);
        }
        let mut conversation = Conversation::new(Role::Client);
        conversation.eof = true;
        check(messages, &conversation.run(cut(&wire, &places)))?;
    }

    #[test]
    fn work_is_linear(conversation in conversation(), input in nearly_http()) {
        // Each call ends an event, consumes something, or is the last one for a piece of input.
        let trace = conversation.run(input.chunks(1));
        prop_assert!(trace.calls <= 4 * input.len() + 1, "{} calls for {} bytes", trace.calls, input.len());
        // What is shown again is bounded by the limit, and never searched again (`scanned`).
        let limit = conversation.limits.max_head_size;
        prop_assert!(trace.most_unread <= limit + 1, "{} bytes kept", trace.most_unread);
    }
}

fn check(messages: &[Message], trace: &Trace) -> Result<(), TestCaseError> {
    let mut seen = trace
        .seen
        .split_inclusive(|seen| matches!(seen, Seen::End(_)));
    for message in messages {
        let events = seen.next().unwrap_or_default();
        prop_assert!(message.is_seen_as(events), "{message:?} became {events:?}");
    }
    prop_assert_eq!(seen.next(), None);
    prop_assert!(trace.unread.is_empty());
    Ok(())
}
