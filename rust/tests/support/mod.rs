//! Reads the bytes of cases, drives a decoder as a connection does, and writes down what came of it.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::expect_used)]

use _core::http1::{
    BodyLength, Decoder, Encoder, Error, Event, Head, Limits, MAX_HEAD_SIZE, Role, StartLine,
    Target, Version,
};

/// Who talks, and within which limits.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub role: Role,
    pub limits: Limits,
    pub method: Vec<u8>,
    pub eof: bool,
}

/// What a decoder said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The summary of a head, and its fields.
    Head(String, Vec<String>),
    Data(Vec<u8>),
    End(Vec<String>),
    Error(Error),
}

/// All that a decoder said, and what it cost.
#[derive(Debug, Default)]
pub struct Trace {
    pub seen: Vec<Seen>,
    pub unread: Vec<u8>,
    /// How often the decoder was called.
    pub calls: usize,
    /// The most bytes that it left over to be shown again.
    pub most_unread: usize,
}

/// An encoder that is about to answer this request.
pub fn answering(request: &[u8]) -> Encoder {
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let (_, event) = decoder.decode(request).unwrap();
    let Event::Head(head) = event else {
        panic!("not a whole head")
    };
    let mut encoder = Encoder::new();
    encoder.answer(&head);
    encoder
}

impl Conversation {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            limits: Limits {
                max_head_size: MAX_HEAD_SIZE,
                max_body_size: 1024 * 1024,
            },
            method: b"GET".to_vec(),
            eof: false,
        }
    }

    /// As the first line of a case's block says.
    pub fn from_info(info: &str) -> Self {
        let mut words = info.split(' ');
        let mut conversation = Self::new(match words.next() {
            Some("request") => Role::Server,
            Some("response") => Role::Client,
            other => panic!("unknown block {other:?}"),
        });
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "max_head" => conversation.limits.max_head_size = value.parse().unwrap(),
                "max_body" => conversation.limits.max_body_size = value.parse().unwrap(),
                "method" => conversation.method = value.as_bytes().to_vec(),
                "eof" => conversation.eof = true,
                other => panic!("unknown option {other:?}"),
            }
        }
        conversation
    }

    /// Show a decoder these pieces one after the other, each behind what it left of those before.
    pub fn run<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Trace {
        let mut decoder = Decoder::new(self.role, self.limits);
        decoder.set_request_method(&self.method);
        let mut trace = Trace::default();
        let mut unread: Vec<u8> = Vec::new();
        let mut last = false;
        for piece in pieces {
            unread.extend_from_slice(piece);
            match trace.feed(&mut decoder, &unread, &mut last) {
                Ok(consumed) => {
                    unread.drain(..consumed);
                    if !last {
                        trace.most_unread = trace.most_unread.max(unread.len());
                    }
                }
                Err(error) => {
                    trace.seen.push(Seen::Error(error));
                    return trace;
                }
            }
        }
        if self.eof {
            match decoder.finish_input(&unread) {
                Ok(None) => {}
                Ok(Some(event)) => assert!(!trace.push(event)),
                Err(error) => {
                    trace.seen.push(Seen::Error(error));
                    return trace;
                }
            }
        }
        trace.unread = unread;
        trace
    }
}

impl Trace {
    fn feed(
        &mut self,
        decoder: &mut Decoder,
        input: &[u8],
        last: &mut bool,
    ) -> Result<usize, Error> {
        let mut position = 0;
        loop {
            if decoder.is_done() {
                if *last {
                    return Ok(position);
                }
                decoder.next_message();
            }
            self.calls += 1;
            let (consumed, event) = decoder.decode(&input[position..])?;
            position += consumed;
            match event {
                Event::NeedMore => return Ok(position),
                event => *last |= self.push(event),
            }
        }
    }

    /// Write an event down; whether its message is the last one of the connection.
    fn push(&mut self, event: Event<'_>) -> bool {
        match event {
            Event::NeedMore => {}
            Event::Head(head) => {
                let fields = fields(&head.headers);
                self.seen.push(Seen::Head(summary(&head), fields));
                let interim = matches!(head.start_line,
                    StartLine::Response { status, .. } if status < 200 && status != 101);
                return !interim && (head.upgrade || !head.keep_alive);
            }
            Event::Data(data) => {
                assert!(!data.is_empty(), "an empty piece of body");
                match self.seen.last_mut() {
                    Some(Seen::Data(known)) => known.extend_from_slice(data),
                    _ => self.seen.push(Seen::Data(data.to_vec())),
                }
            }
            Event::End(trailers) => self
                .seen
                .push(Seen::End(trailers.map_or_else(Vec::new, |t| fields(&t)))),
        }
        false
    }

    /// As a case file writes it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for seen in &self.seen {
            match seen {
                Seen::Head(summary, fields) => {
                    lines.push(format!("head {summary}"));
                    lines.extend(fields.iter().map(|field| format!("field {field}")));
                }
                Seen::Data(data) => lines.push(format!("data \"{}\"", data.escape_ascii())),
                Seen::End(trailers) => {
                    lines.push("end".to_owned());
                    lines.extend(trailers.iter().map(|field| format!("trailer {field}")));
                }
                Seen::Error(error) => lines.push(format!("error {} {error:?}", error.status())),
            }
        }
        if !self.unread.is_empty() {
            lines.push(format!("unread \"{}\"", self.unread.escape_ascii()));
        }
        lines
    }
}

fn fields(headers: &_core::headers::Headers) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| {
            let line = format!("{}: {}", name.escape_ascii(), value.escape_ascii());
            line.trim_end().to_owned()
        })
        .collect()
}

fn summary(head: &Head) -> String {
    let version = match head.version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    let mut words = match &head.start_line {
        StartLine::Request {
            method,
            target,
            form,
        } => {
            let target = head.text(target);
            let form = match form {
                Target::Origin => "origin".to_owned(),
                Target::Authority => "authority".to_owned(),
                Target::Asterisk => "asterisk".to_owned(),
                Target::Absolute { authority, path } => format!(
                    "absolute({},{})",
                    target[authority.clone()].escape_ascii(),
                    target[*path..].escape_ascii()
                ),
            };
            let method = head.text(method).escape_ascii();
            format!("{method} {} {version} {form}", target.escape_ascii())
        }
        StartLine::Response { status, reason } => {
            let reason = head.text(reason).escape_ascii();
            format!("{status} {reason} {version}")
        }
    };
    words.push(' ');
    words.push_str(&match head.body {
        BodyLength::Exact(length) => format!("length={length}"),
        BodyLength::Chunked => "chunked".to_owned(),
        BodyLength::UntilClose => "until-close".to_owned(),
    });
    for (flag, name) in [
        (head.keep_alive, " keep-alive"),
        (head.expects_continue, " continue"),
        (head.upgrade, " upgrade"),
    ] {
        if flag {
            words.push_str(name);
        }
    }
    words
}

/// The bytes that a case writes so: its README has the table.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let kind = after.chars().next().expect("an escape");
        rest = &after[1..];
        match kind {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            '0' => out.push(0),
            '\\' => out.push(b'\\'),
            'x' => {
                out.push(u8::from_str_radix(&rest[..2], 16).expect("two hexadecimal digits"));
                rest = &rest[2..];
            }
            '{' => {
                let (repeat, behind) = rest.split_once('}').expect("a closing brace");
                let (count, what) = repeat.split_once('*').expect("count*text");
                out.extend(unescape(what).repeat(count.parse().expect("a count")));
                rest = behind;
            }
            other => panic!("unknown escape \\{other}"),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
