//! Frames: the same events however the input is split, and no more memory than the limit allows;
//! with and without compression, as a server and as a client.
#![no_main]

use _core::websocket::{Connection, Deflater, Error, Event, Inflater, Role};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

fuzz_target!(|data: &[u8]| {
    // The first byte says who we are, the second where to split.
    let [kind, at, input @ ..] = data else {
        return;
    };
    let whole = run(*kind, [input]);
    let (first, second) = input.split_at(usize::from(*at) % (input.len() + 1));
    assert_eq!(whole, run(*kind, [first, second]));
    if input.len() < 1024 {
        assert_eq!(whole, run(*kind, input.chunks(1)));
    }
});

/// What has been seen: the events and how it ended. Of compressed data that is wrong in several
/// ways, which one is found first depends on the pieces; that it is wrong does not.
fn run<'a>(kind: u8, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<Error>) {
    let (seen, error) = handle(kind, pieces);
    let compresses = kind & 2 == 2;
    let vague = matches!(
        error,
        Some(Error::Utf8 | Error::Compression | Error::TooBig)
    );
    if compresses && vague {
        (seen, Some(Error::Compression))
    } else {
        (seen, error)
    }
}

fn handle<'a>(
    kind: u8,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<String>, Option<Error>) {
    let role = if kind & 1 == 1 {
        Role::Client
    } else {
        Role::Server
    };
    let pair = || (Inflater::new(15, kind & 4 == 4), Deflater::new(1, 15, true));
    let mut connection = Connection::new(role, LIMIT, (kind & 2 == 2).then(pair));
    let (mut seen, mut unread) = (Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        let mut position = 0;
        loop {
            match connection.handle_input(&unread[position..]) {
                Err(error) => return (seen, Some(error)),
                Ok((count, event)) => {
                    position += count;
                    seen.push(match event {
                        Event::NeedMore => break,
                        Event::Text(text) => {
                            let text = text.into_vec();
                            assert!(text.len() <= LIMIT);
                            String::from_utf8(text).expect("a text is UTF-8")
                        }
                        Event::Binary(data) => {
                            assert!(data.len() <= LIMIT);
                            format!("{:?}", data.into_vec())
                        }
                        other => format!("{other:?}"),
                    });
                }
            }
        }
        unread.drain(..position);
        assert!(unread.len() < 14);
    }
    (seen, None)
}
