//! Runs the cases of `tests/websocket/cases`, as a server and as a client: whole, split at every
//! byte, and byte by byte.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;

use _core::websocket::{CloseReason, Connection, Deflater, Event, Inflater, Key, Role, mask};
use support::unescape;

const KEY: Key = [0x37, 0xfa, 0x21, 0x3d];

/// Longer input is split at so many places only, evenly spread, so that a run stays short.
const MOST_SPLITS: usize = 400;

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Error(u16, String),
}

struct Case {
    name: String,
    roles: Vec<Role>,
    limit: usize,
    deflate: bool,
    keeps_context: bool,
    frames: Vec<String>,
    expected: Vec<Seen>,
}

impl Case {
    fn new(name: &str, info: &str, frames: Vec<String>) -> Self {
        let mut case = Self {
            name: name.to_owned(),
            roles: vec![Role::Server, Role::Client],
            limit: 1 << 20,
            deflate: false,
            keeps_context: true,
            frames,
            expected: Vec::new(),
        };
        let mut words = info.split(' ');
        assert_eq!(words.next(), Some("frames"), "{name}");
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("to", "server") => case.roles = vec![Role::Server],
                ("to", "client") => case.roles = vec![Role::Client],
                ("max", value) => case.limit = value.parse().unwrap(),
                ("deflate", _) => case.deflate = true,
                ("no-context", _) => case.keeps_context = false,
                other => panic!("unknown option {other:?}"),
            }
        }
        case
    }

    fn input(&self, role: Role) -> Vec<u8> {
        let frames = self.frames.iter().map(|line| frame(line, role));
        frames.collect::<Vec<_>>().concat()
    }

    /// What comes of the input in these pieces.
    fn run<'a>(&self, role: Role, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
        let pair = self.deflate.then(|| {
            let inflater = Inflater::new(15, self.keeps_context);
            (inflater, Deflater::new(6, 15, true))
        });
        let mut connection = Connection::new(role, self.limit, pair);
        let (mut seen, mut unread) = (Vec::new(), Vec::new());
        for piece in pieces {
            unread.extend_from_slice(piece);
            let mut position = 0;
            loop {
                let (count, event) = match connection.handle_input(&unread[position..]) {
                    Ok(decoded) => decoded,
                    Err(error) => {
                        seen.push(Seen::Error(error.code(), format!("{error:?}")));
                        return seen;
                    }
                };
                position += count;
                seen.push(match event {
                    Event::NeedMore => break,
                    Event::Text(text) => Seen::Text(text.into_vec()),
                    Event::Binary(data) => Seen::Binary(data.into_vec()),
                    Event::Ping(data) => Seen::Ping(data),
                    Event::Pong(data) => Seen::Pong(data),
                    Event::Close(CloseReason { code, reason }) => Seen::Close(code, reason),
                });
            }
            unread.drain(..position);
        }
        seen
    }
}

/// The bytes of a line of `frames`.
fn frame(line: &str, role: Role) -> Vec<u8> {
    let (head, rest) = line.split_once('"').expect("a payload");
    let mut payload = unescape(rest.strip_suffix('"').expect("a closing quote"));
    let mut words = head.split_whitespace();
    let mut first = 0x80
        | match words.next().expect("an opcode") {
            "raw" => return payload,
            "continuation" => 0,
            "text" => 1,
            "binary" => 2,
            "close" => 8,
            "ping" => 9,
            "pong" => 10,
            other => other.strip_prefix("opcode=").unwrap().parse().unwrap(),
        };
    let (mut length, mut form, mut masked) = (None, 0, role == Role::Server);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("more", _) => first &= 0x7f,
            ("rsv1", _) => first |= 0x40,
            ("rsv2", _) => first |= 0x20,
            ("rsv3", _) => first |= 0x10,
            ("code", code) => {
                let code: u16 = code.parse().unwrap();
                payload = [&code.to_be_bytes(), &payload[..]].concat();
            }
            ("length", value) => length = Some(value.parse().unwrap()),
            ("form", value) => form = value.parse().unwrap(),
            ("mask", "wrong") => masked = !masked,
            other => panic!("unknown flag {other:?}"),
        }
    }
    let length: u64 = length.unwrap_or(payload.len() as u64);
    let bit = if masked { 0x80 } else { 0 };
    let mut out = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if form == 0 && short < 126 => out.push(bit | short),
        (_, Ok(medium)) if form != 64 => {
            out.push(bit | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(bit | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    if masked {
        out.extend_from_slice(&KEY);
        mask(&mut payload, KEY, 0);
    }
    out.extend(payload);
    out
}

/// A line of `events`.
fn event(line: &str) -> Seen {
    let (head, payload) = match line.split_once('"') {
        Some((head, rest)) => (head, unescape(rest.strip_suffix('"').unwrap())),
        None => (line, Vec::new()),
    };
    let words: Vec<&str> = head.split_whitespace().collect();
    match words[..] {
        ["text"] => Seen::Text(payload),
        ["binary"] => Seen::Binary(payload),
        ["ping"] => Seen::Ping(payload),
        ["pong"] => Seen::Pong(payload),
        ["close"] => Seen::Close(None, String::new()),
        ["close", code] => {
            let reason = String::from_utf8(payload).unwrap();
            Seen::Close(Some(code.parse().unwrap()), reason)
        }
        ["error", code, name] => Seen::Error(code.parse().unwrap(), name.to_owned()),
        _ => panic!("unknown event {line}"),
    }
}

fn read_cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/websocket/cases");
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let (mut name, mut lines) = ("", text.lines());
        let mut pending: Option<Case> = None;
        while let Some(line) = lines.next() {
            if let Some(heading) = line.strip_prefix("## ") {
                assert!(pending.is_none(), "{name}: no events");
                name = heading;
            } else if let Some(info) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                if info == "events" {
                    let mut case = pending.take().expect("events without frames");
                    case.expected = block.into_iter().map(event).collect();
                    cases.push(case);
                } else {
                    let frames = block.into_iter().map(str::to_owned).collect();
                    pending = Some(Case::new(name, info, frames));
                }
            }
        }
        assert!(pending.is_none(), "{name}: no events");
    }
    cases
}

#[test]
fn cases() {
    let cases = read_cases();
    assert!(cases.len() > 100, "the cases were not found");
    let mut failures = Vec::new();
    for case in &cases {
        for &role in &case.roles {
            let input = case.input(role);
            let mut check = |what: &str, seen: Vec<Seen>| {
                if seen != case.expected {
                    let expected = &case.expected;
                    let name = &case.name;
                    failures.push(format!(
                        "{name} ({role:?}, {what})\n  expected {expected:?}\n  got {seen:?}"
                    ));
                }
            };
            check("whole", case.run(role, [&input[..]]));
            check("byte by byte", case.run(role, input.chunks(1)));
            let step = input.len().div_ceil(MOST_SPLITS).max(1);
            for at in (1..input.len()).step_by(step) {
                let (first, second) = input.split_at(at);
                check(&format!("split at {at}"), case.run(role, [first, second]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
