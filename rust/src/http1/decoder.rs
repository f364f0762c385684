//! From bytes to events: one direction of a connection.

use super::MAX_HEAD_SIZE;
use super::body::{Body, Step};
use super::error::Error;
use super::head::{Head, StartLine, find_end, parse_request, parse_response};
use crate::headers::Headers;

/// Which side of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Requests come in.
    Server,
    /// Responses come in.
    Client,
}

/// How much a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, and of a trailer section.
    pub max_head_size: usize,
    /// Bytes of a body, without its chunks' framing.
    pub max_body_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_size: MAX_HEAD_SIZE,
            max_body_size: 100 * 1024 * 1024,
        }
    }
}

/// What came in.
#[derive(Debug)]
pub enum Event<'a> {
    /// Nothing yet: show what was not consumed again, with more behind it.
    NeedMore,
    /// The head of a message. A client gets one for each 1xx response, too.
    Head(Box<Head>),
    /// A piece of the body.
    Data(&'a [u8]),
    /// The message is complete; chunked bodies may have trailers.
    End(Option<Box<Headers>>),
}

#[derive(Debug)]
enum State {
    /// In a head, of which so many bytes have been searched for its end.
    Head { scanned: usize },
    /// In a body.
    Body(Body),
    /// Behind a message.
    Done,
}

/// Turns the bytes of one direction into [`Event`]s. Its own memory does not grow with the input.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limits: Limits,
    state: State,
    /// Content of this message so far.
    received: u64,
    /// Clients: the method of the request that is being answered.
    method: Vec<u8>,
    /// Servers: one empty line before a request has been skipped (RFC 9112 §2.2).
    skipped_line: bool,
}

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub const fn new(role: Role, limits: Limits) -> Self {
        Self {
            role,
            limits,
            state: State::Head { scanned: 0 },
            received: 0,
            method: Vec::new(),
            skipped_line: false,
        }
    }

    /// Clients: the next response answers a request of this method.
    pub fn set_request_method(&mut self, method: &[u8]) {
        method.clone_into(&mut self.method);
    }

    /// Change the limit for the body of this message and those after it, in bytes.
    pub const fn set_max_body_size(&mut self, bytes: u64) {
        self.limits.max_body_size = bytes;
    }

    /// The most bytes that the body of this message may have.
    #[must_use]
    pub const fn max_body_size(&self) -> u64 {
        self.limits.max_body_size
    }

    /// The message is done with; the next one may come.
    pub const fn next_message(&mut self) {
        self.state = State::Head { scanned: 0 };
        self.received = 0;
        self.skipped_line = false;
    }

    /// Whether the message has been received whole.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the head of the message has been received.
    #[must_use]
    pub const fn in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// How many bytes of the body are still to come, as far as its length or its chunk's says; 0 if
    /// neither does.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        match &self.state {
            State::Body(body) => body.remaining(),
            State::Head { .. } | State::Done => 0,
        }
    }

    /// Look at `input`: how many of its bytes are done with, and what came of them.
    ///
    /// # Errors
    /// The message is against the rules or over a limit; this decoder cannot go on.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), Error> {
        self.decode_up_to(input, usize::MAX)
    }

    /// The same, with no more than `most` bytes of content at a time.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_up_to<'a>(
        &mut self,
        input: &'a [u8],
        most: usize,
    ) -> Result<(usize, Event<'a>), Error> {
        match &mut self.state {
            State::Done => Ok((0, Event::NeedMore)),
            State::Head { .. } => self.decode_head(input),
            State::Body(body) => {
                let room = self.limits.max_body_size.saturating_sub(self.received);
                let (consumed, step) = body.step(input, &self.limits, room, most)?;
                let event = match step {
                    Step::NeedMore => Event::NeedMore,
                    Step::Data(data) => {
                        self.received += data.len() as u64;
                        Event::Data(data)
                    }
                    Step::End(trailers) => {
                        self.state = State::Done;
                        Event::End(trailers)
                    }
                };
                Ok((consumed, event))
            }
        }
    }

    fn decode_head<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), Error> {
        let State::Head { scanned } = &mut self.state else {
            return Ok((0, Event::NeedMore));
        };
        let mut skipped = 0;
        if self.role == Role::Server && !self.skipped_line && input.starts_with(b"\r\n") {
            self.skipped_line = true;
            *scanned = 0;
            skipped = 2;
        }
        let text = &input[skipped..];
        let limit = self.limits.max_head_size;
        let end = match find_end(text, *scanned, limit) {
            Ok(Some(end)) => end,
            Ok(None) => {
                *scanned = text.len();
                return Ok((skipped, Event::NeedMore));
            }
            Err(Error::HeadTooLarge)
                if self.role == Role::Server && !text[..limit].contains(&b'\n') =>
            {
                return Err(Error::TargetTooLong);
            }
            Err(error) => return Err(error),
        };
        let head = match self.role {
            Role::Server => parse_request(&text[..end])?,
            Role::Client => parse_response(&text[..end], &self.method)?,
        };
        let informational = matches!(head.start_line,
            StartLine::Response { status, .. } if status < 200 && status != 101);
        self.state = if informational {
            State::Head { scanned: 0 }
        } else {
            State::Body(Body::new(head.body))
        };
        Ok((skipped + end, Event::Head(Box::new(head))))
    }

    /// The peer has closed its side: a body until close is complete, anything else is not.
    ///
    /// # Errors
    /// [`Error::Incomplete`] in the middle of a message. Between messages there is no event.
    pub fn finish_input(&mut self, unread: &[u8]) -> Result<Option<Event<'static>>, Error> {
        match self.state {
            State::Done => Ok(None),
            State::Head { .. } if unread.is_empty() => Ok(None),
            State::Body(Body::UntilClose) => {
                self.state = State::Done;
                Ok(Some(Event::End(None)))
            }
            _ => Err(Error::Incomplete),
        }
    }
}
