//! The WebSocket core as its drivers see it: bytes in, events out, and back.
#![allow(clippy::unwrap_used)]

use _core::websocket::{
    CloseReason, Connection, Deflater, Error, Event, Head, Inflater, Key, Opcode, Role, write_frame,
};
use proptest::prelude::*;

const KEY: Key = [0x37, 0xfa, 0x21, 0x3d];
const LIMIT: usize = 1000;

/// An event without a reference to its input.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(Error),
}

fn server() -> Connection {
    Connection::new(Role::Server, LIMIT, None)
}

fn compressing(role: Role) -> Connection {
    let pair = (Inflater::new(15, true), Deflater::new(6, 15, true));
    Connection::new(role, LIMIT, Some(pair))
}

/// All events of an input that comes in pieces.
fn run<'a>(connection: &mut Connection, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut unread = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        let mut position = 0;
        loop {
            match connection.handle_input(&unread[position..]) {
                Err(error) => {
                    seen.push(Seen::Failed(error));
                    return seen;
                }
                Ok((count, event)) => {
                    position += count;
                    seen.push(match event {
                        Event::NeedMore => break,
                        Event::Text(text) => {
                            Seen::Text(String::from_utf8(text.into_vec()).unwrap())
                        }
                        Event::Binary(data) => {
                            let mut copy = vec![0; data.len()];
                            data.copy_to(&mut copy);
                            assert_eq!(copy, data.into_vec());
                            Seen::Binary(copy)
                        }
                        Event::Ping(data) => Seen::Ping(data),
                        Event::Pong(data) => Seen::Pong(data),
                        Event::Close(CloseReason { code, reason }) => Seen::Close(code, reason),
                    });
                }
            }
        }
        unread.drain(..position);
        assert!(unread.len() < 14, "the decoder left over {}", unread.len());
    }
    seen
}

fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, opcode, false, payload, Some(KEY));
    if !fin {
        out[0] &= 0x7f;
    }
    out
}

fn last_of(frames: &[Vec<u8>]) -> Seen {
    let input = frames.concat();
    run(&mut server(), [input.as_slice()]).pop().unwrap()
}

#[test]
fn examples_of_the_rfc() {
    // RFC 6455 §5.7.
    let masked = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    let hello = Seen::Text("Hello".into());
    let seen = run(&mut server(), [&masked[..]]);
    assert_eq!(seen, std::slice::from_ref(&hello));
    let mut client = Connection::new(Role::Client, LIMIT, None);
    let unmasked = b"\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello";
    let expected = [hello.clone(), hello, Seen::Ping(b"Hello".to_vec())];
    assert_eq!(run(&mut client, [&unmasked[..]]), expected);
    let mut out = Vec::new();
    assert!(
        server()
            .send(&mut out, Opcode::Text, b"Hello", None)
            .unwrap()
    );
    assert_eq!(out, b"\x81\x05Hello");
}

#[test]
fn the_limit_of_messages() {
    let whole = vec![b'a'; LIMIT];
    let text = Seen::Text("a".repeat(LIMIT));
    assert_eq!(last_of(&[frame(true, Opcode::Text, &whole)]), text);
    let long = vec![b'a'; LIMIT + 1];
    assert_eq!(
        last_of(&[frame(true, Opcode::Text, &long)]),
        Seen::Failed(Error::TooBig)
    );
    assert_eq!(Error::TooBig.code(), 1009);
    let first = frame(false, Opcode::Text, &whole);
    let none = frame(true, Opcode::Continuation, b"");
    let one = frame(true, Opcode::Continuation, b"a");
    assert_eq!(last_of(&[first.clone(), none]), text);
    assert_eq!(last_of(&[first, one]), Seen::Failed(Error::TooBig));
    // A length alone makes nobody reserve memory for it.
    let mut huge = vec![];
    Head {
        fin: true,
        rsv1: false,
        opcode: Opcode::Binary,
        length: 1 << 62,
        key: Some(KEY),
    }
    .write(&mut huge);
    assert_eq!(last_of(&[huge.clone()]), Seen::Failed(Error::TooBig));
    let mut unlimited = Connection::new(Role::Server, usize::MAX, None);
    assert_eq!(run(&mut unlimited, [&huge[..]]), []);
}

#[test]
fn the_limit_counts_what_messages_decompress_to() {
    for (length, fits) in [(LIMIT, true), (LIMIT + 1, false), (100 * LIMIT, false)] {
        let mut out = Vec::new();
        let mut client = compressing(Role::Client);
        let payload = vec![b'a'; length];
        assert!(
            client
                .send(&mut out, Opcode::Binary, &payload, Some(KEY))
                .unwrap()
        );
        let seen = run(&mut compressing(Role::Server), [&out[..]]);
        let expected = if fits {
            Seen::Binary(payload)
        } else {
            Seen::Failed(Error::TooBig)
        };
        assert_eq!(seen, [expected]);
    }
}

#[test]
fn closing_handshake() {
    let (mut client, mut server) = (Connection::new(Role::Client, LIMIT, None), server());
    let mut out = Vec::new();
    assert!(client.close(&mut out, Some(1001), "bye", Some(KEY)));
    assert!(!client.is_open() && client.is_reading());
    assert!(!client.close(&mut out, Some(1000), "again", Some(KEY)));
    assert!(
        !client
            .send(&mut out, Opcode::Text, b"late", Some(KEY))
            .unwrap()
    );
    assert!(!client.send_control(&mut out, Opcode::Ping, b"late", Some(KEY)));
    assert_eq!(
        run(&mut server, [&out[..]]),
        [Seen::Close(Some(1001), "bye".into())]
    );
    assert!(!server.is_open() && !server.is_reading());
    // What comes behind Close is thrown away, whatever it is.
    assert_eq!(run(&mut server, [&b"\xff\xff garbage"[..]]), []);
    let mut answer = Vec::new();
    assert!(server.close(&mut answer, Some(1001), "", None));
    assert!(!server.close(&mut answer, Some(1001), "", None));
    // A message that was under way meanwhile still arrives.
    let input = [b"\x81\x01a".to_vec(), answer].concat();
    let expected = [
        Seen::Text("a".into()),
        Seen::Close(Some(1001), String::new()),
    ];
    assert_eq!(run(&mut client, [&input[..]]), expected);
    assert!(!client.is_reading());
}

#[test]
fn who_fails_says_so_once() {
    let mut server = server();
    run(&mut server, [&b"\xff\xff"[..]]);
    assert!(!server.is_open() && !server.is_reading());
    let mut out = Vec::new();
    assert!(server.close(&mut out, Some(1002), "", None));
    assert!(!server.close(&mut out, Some(1002), "", None));
    assert_eq!(out, b"\x88\x02\x03\xea");
}

#[derive(Debug, Clone)]
struct Message {
    text: bool,
    payload: Vec<u8>,
    /// How long its frames are, as far as that goes.
    cuts: Vec<usize>,
    ping: Option<Vec<u8>>,
}

fn any_message() -> impl Strategy<Value = Message> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    let payload = prop_oneof![
        any::<String>().prop_map(|text| (true, text.into_bytes())),
        bytes().prop_map(|bytes| (false, bytes)),
        bytes().prop_map(|bytes| (true, bytes)),
    ];
    let ping = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=125));
    let cuts = proptest::collection::vec(0usize..100, 0..4);
    (payload, cuts, ping).prop_map(|((text, payload), cuts, ping)| Message {
        text,
        payload,
        cuts,
        ping,
    })
}

fn write(message: &Message, key: Key, out: &mut Vec<u8>) {
    let mut opcode = if message.text {
        Opcode::Text
    } else {
        Opcode::Binary
    };
    let mut rest = &message.payload[..];
    for &cut in &message.cuts {
        let (piece, behind) = rest.split_at(cut.min(rest.len()));
        rest = behind;
        let start = out.len();
        write_frame(out, opcode, false, piece, Some(key));
        out[start] &= 0x7f;
        opcode = Opcode::Continuation;
        if let Some(ping) = &message.ping {
            write_frame(out, Opcode::Ping, false, ping, Some(key));
        }
    }
    write_frame(out, opcode, false, rest, Some(key));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        messages in proptest::collection::vec(any_message(), 0..5),
        noise in proptest::option::of(any::<[u8; 6]>()),
        key: Key,
        size in 1usize..40,
    ) {
        let mut input = Vec::new();
        for message in &messages {
            write(message, key, &mut input);
        }
        input.extend_from_slice(noise.as_ref().map_or(&[], |noise| &noise[..]));
        let whole = run(&mut server(), [&input[..]]);
        prop_assert_eq!(&whole, &run(&mut server(), input.chunks(size)));
        prop_assert_eq!(&whole, &run(&mut server(), input.chunks(1)));
        // And they are the messages, up to the first that is not what it says.
        let mut seen = whole.into_iter().filter(|event| !matches!(event, Seen::Ping(_)));
        for message in messages {
            let expected = match String::from_utf8(message.payload) {
                Ok(text) if message.text => Seen::Text(text),
                Err(_) if message.text => Seen::Failed(Error::Utf8),
                Ok(text) => Seen::Binary(text.into_bytes()),
                Err(error) => Seen::Binary(error.into_bytes()),
            };
            let failed = matches!(expected, Seen::Failed(_));
            prop_assert_eq!(seen.next(), Some(expected));
            if failed {
                break;
            }
        }
    }

    #[test]
    fn what_is_sent_is_received(
        messages in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..LIMIT), 0..5),
        key: Key,
        compressed: bool,
        size in 1usize..400,
    ) {
        let (mut client, mut server) = if compressed {
            (compressing(Role::Client), compressing(Role::Server))
        } else {
            (Connection::new(Role::Client, LIMIT, None), server())
        };
        let mut out = Vec::new();
        for message in &messages {
            prop_assert_eq!(
                client.send(&mut out, Opcode::Binary, message, Some(key)), Ok(true));
        }
        let expected: Vec<Seen> = messages.into_iter().map(Seen::Binary).collect();
        prop_assert_eq!(run(&mut server, out.chunks(size)), expected);
    }

    #[test]
    fn garbage_never_panics(input: Vec<u8>, size in 1usize..20) {
        run(&mut compressing(Role::Server), input.chunks(size));
        run(&mut compressing(Role::Client), input.chunks(size));
    }
}
