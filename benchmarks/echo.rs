//! The load of `tcpecho`: as many connections as asked for, each of which sends a message, waits
//! for all of it, compares it with what it sent, and sends the next one. One thread over epoll, so
//! that it costs less than the servers under test; the standard library alone, so that `rustc` is
//! all it needs.
//!
//! `echo PORT CONNECTIONS SIZE SECONDS` prints one JSON object.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, io};

use poll::{EVENTS, Event, Poll};

mod poll;

struct Connection {
    stream: TcpStream,
    message: Vec<u8>,
    answer: Vec<u8>,
    received: usize,
}

impl Connection {
    fn open(port: u16, size: usize, number: u64) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut message = vec![number as u8; size];
        message[..8].copy_from_slice(&(number << 32).to_le_bytes());
        Ok(Self {
            stream,
            message,
            answer: vec![0; size],
            received: 0,
        })
    }

    /// Takes what came; true when that was the rest of the answer.
    fn receive(&mut self) -> io::Result<bool> {
        let count = self.stream.read(&mut self.answer[self.received..])?;
        if count == 0 {
            return Err(io::Error::other("the server closed a connection"));
        }
        self.received += count;
        if self.received < self.answer.len() {
            return Ok(false);
        }
        if self.answer != self.message {
            return Err(io::Error::other("the answer is another message"));
        }
        self.received = 0;
        Ok(true)
    }

    /// Each message differs from all others, so that no old answer passes for a new one.
    fn send_next(&mut self) -> io::Result<()> {
        let (stamp, _) = self
            .message
            .split_first_chunk_mut::<8>()
            .expect("at least 8 bytes");
        *stamp = (u64::from_le_bytes(*stamp) + 1).to_le_bytes();
        self.stream.write_all(&self.message)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, connections, size, seconds] = arguments.as_slice() else {
        return Err("usage: echo PORT CONNECTIONS SIZE SECONDS".into());
    };
    let (port, size) = (port.parse()?, size.parse()?);
    let limit = Duration::from_secs_f64(seconds.parse()?);

    let poll = Poll::new()?;
    let mut open = Vec::new();
    for number in 0..connections.parse()? {
        let connection = Connection::open(port, size, number)?;
        poll.add(&connection.stream, number)?;
        open.push(connection);
    }
    let start = Instant::now();
    for connection in &mut open {
        connection.send_next()?;
    }
    let mut events = [Event::NONE; EVENTS];
    let mut messages = 0_u64;
    let mut ended = None;
    // Every connection gets its last answer: none is closed under a server that still writes.
    let mut waiting = open.len();
    while waiting > 0 {
        if ended.is_none() && start.elapsed() >= limit {
            ended = Some(start.elapsed());
        }
        for event in poll.wait(&mut events)? {
            let connection = &mut open[event.data as usize];
            if !connection.receive()? {
                continue;
            }
            if ended.is_none() {
                messages += 1;
                connection.send_next()?;
            } else {
                waiting -= 1;
            }
        }
    }
    let seconds = ended.unwrap_or_default().as_secs_f64();
    println!("{{\"messages\": {messages}, \"seconds\": {seconds}}}");
    Ok(())
}
