//! Bodies by length, in chunks and until close (RFC 9112 §6 and §7).

use super::error::Error;
use super::head::{BodyLength, find_end, parse_trailers};
use super::{MAX_CHUNK_EXTENSIONS, decoder::Limits};
use crate::headers::Headers;

/// What a step through a body gave.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// More input is needed behind what was not consumed.
    NeedMore,
    /// Content.
    Data(&'a [u8]),
    /// All of it has come, with its trailers.
    End(Option<Box<Headers>>),
}

/// Where we are in a body.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// Until the peer closes.
    UntilClose,
}

/// A chunked body: `chunk-size [ext] CRLF data CRLF … 0 CRLF trailers CRLF`.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: ChunkState,
    extensions: usize,
}

#[derive(Debug, Clone, Copy)]
enum ChunkState {
    /// In the size, with this many digits and this value so far.
    Size { digits: u8, value: u64 },
    /// In white space behind the size, which only an extension may follow.
    Space { value: u64 },
    /// Between the semicolon and CR.
    Extension { value: u64 },
    /// Behind the CR of a size line.
    SizeLineFeed { value: u64 },
    /// In the data.
    Data { remaining: u64 },
    /// Behind the data: CR, LF.
    DataEnd { seen_cr: bool },
    /// Behind the last chunk. `scanned` bytes of the trailers have been looked at.
    Trailers { scanned: usize },
}

impl Default for ChunkState {
    fn default() -> Self {
        Self::Size {
            digits: 0,
            value: 0,
        }
    }
}

impl Body {
    pub(super) fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::Exact(length) => Self::Length(length),
            BodyLength::Chunked => Self::Chunked(Chunked::default()),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    /// Take one step: how many bytes of `input` are done with, and what they were. There is `room`
    /// for so many bytes of content; what announces more is refused before any of that is taken.
    /// No more than `most` bytes of it are given at a time.
    pub(super) fn step<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
        mut room: u64,
        most: usize,
    ) -> Result<(usize, Step<'a>), Error> {
        match self {
            Self::Length(0) => Ok((0, Step::End(None))),
            Self::Length(remaining) if *remaining > room => Err(Error::LengthTooLarge),
            Self::Length(remaining) => Ok(take(input, remaining, most)),
            Self::UntilClose if room == 0 && !input.is_empty() => Err(Error::BodyTooLarge),
            Self::UntilClose => Ok(take(input, &mut room, most)),
            Self::Chunked(chunked) => chunked.step(input, limits, room, most),
        }
    }

    /// How many bytes are still to come, as far as that was announced.
    pub(super) const fn remaining(&self) -> u64 {
        match self {
            Self::Length(remaining)
            | Self::Chunked(Chunked {
                state: ChunkState::Data { remaining },
                ..
            }) => *remaining,
            Self::Chunked(_) | Self::UntilClose => 0,
        }
    }
}

fn take<'a>(input: &'a [u8], remaining: &mut u64, most: usize) -> (usize, Step<'a>) {
    if input.is_empty() {
        return (0, Step::NeedMore);
    }
    let most = most.min(input.len());
    let length = usize::try_from(*remaining).map_or(most, |remaining| remaining.min(most));
    *remaining -= length as u64;
    (length, Step::Data(&input[..length]))
}

impl Chunked {
    fn step<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
        room: u64,
        most: usize,
    ) -> Result<(usize, Step<'a>), Error> {
        let mut position = 0;
        loop {
            if let ChunkState::Data { remaining } = &mut self.state {
                if *remaining > room {
                    return Err(Error::ChunksTooLarge);
                }
                if *remaining > 0 {
                    let (taken, step) = take(&input[position..], remaining, most);
                    return Ok((position + taken, step));
                }
                self.state = ChunkState::DataEnd { seen_cr: false };
            }
            if let ChunkState::Trailers { scanned } = &mut self.state {
                let section = &input[position..];
                let Some(end) = find_end(section, *scanned, limits.max_head_size)? else {
                    *scanned = section.len();
                    return Ok((position, Step::NeedMore));
                };
                let trailers = match &section[..end] {
                    b"\r\n" => None,
                    section => Some(Box::new(parse_trailers(section)?)),
                };
                return Ok((position + end, Step::End(trailers)));
            }
            let Some(&byte) = input.get(position) else {
                return Ok((position, Step::NeedMore));
            };
            position += 1;
            self.state = self.next_state(byte)?;
        }
    }

    /// One more byte between a size and its line end.
    const fn count_extension(&mut self) -> Result<(), Error> {
        self.extensions += 1;
        if self.extensions > MAX_CHUNK_EXTENSIONS {
            return Err(Error::ChunkExtensions);
        }
        Ok(())
    }

    /// One byte of the framing around the data.
    fn next_state(&mut self, byte: u8) -> Result<ChunkState, Error> {
        Ok(match (self.state, byte) {
            (ChunkState::Size { digits, value }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // Fifteen digits are enough for any body, and cannot overflow.
                if digits == 15 {
                    return Err(Error::Chunk);
                }
                let digit = match byte {
                    b'0'..=b'9' => byte - b'0',
                    _ => (byte | 0x20) - b'a' + 10,
                };
                ChunkState::Size {
                    digits: digits + 1,
                    value: value * 16 + u64::from(digit),
                }
            }
            (ChunkState::Size { digits: 1.., value }, b'\r') => ChunkState::SizeLineFeed { value },
            (
                ChunkState::Size { digits: 1.., value } | ChunkState::Space { value },
                b' ' | b'\t',
            ) => {
                self.count_extension()?;
                ChunkState::Space { value }
            }
            (ChunkState::Size { digits: 1.., value } | ChunkState::Space { value }, b';') => {
                self.count_extension()?;
                ChunkState::Extension { value }
            }
            (ChunkState::Extension { value }, b'\r') => ChunkState::SizeLineFeed { value },
            (ChunkState::Extension { value }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extension()?;
                ChunkState::Extension { value }
            }
            (ChunkState::SizeLineFeed { value: 0 }, b'\n') => ChunkState::Trailers { scanned: 0 },
            (ChunkState::SizeLineFeed { value }, b'\n') => ChunkState::Data { remaining: value },
            (ChunkState::DataEnd { seen_cr: false }, b'\r') => {
                ChunkState::DataEnd { seen_cr: true }
            }
            (ChunkState::DataEnd { seen_cr: true }, b'\n') => ChunkState::default(),
            (ChunkState::DataEnd { .. }, _) => return Err(Error::ChunkEnd),
            _ => return Err(Error::Chunk),
        })
    }
}
