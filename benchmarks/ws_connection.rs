//! WebSockets as a client that makes load sees them: the opening handshake, and frames that are
//! whole messages.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Opened at once: fewer than any server's backlog.
const BATCH: usize = 64;
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ=="; // RFC 6455 §1.3 gives it with its answer
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LARGEST_HEAD: usize = 4096;
const STAMP: usize = 8;
pub const SMALL: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Text = 1,
    Binary = 2,
}

/// The head of a frame that is a whole message (RFC 6455 §5.2).
fn frame_head(kind: Kind, size: usize, masked: bool) -> Vec<u8> {
    let flag = u8::from(masked) << 7;
    let mut head = vec![0x80 | kind as u8];
    match size {
        0..126 => head.push(flag | size as u8),
        126..0x1_0000 => {
            head.push(flag | 126);
            head.extend((size as u16).to_be_bytes());
        }
        _ => {
            head.push(flag | 127);
            head.extend((size as u64).to_be_bytes());
        }
    }
    if masked {
        head.extend(MASK);
    }
    head
}

/// A message that is sent, and the frame that brings it back.
pub struct Message {
    pub sent: Vec<u8>,
    pub wanted: Vec<u8>,
    sent_stamp: usize,
    wanted_stamp: usize,
    number: u32,
}

impl Message {
    pub fn new(kind: Kind, size: usize, connection: usize) -> Self {
        let mut payload = vec![b'a' + (connection % 26) as u8; size];
        if kind == Kind::Binary {
            for (index, byte) in payload.iter_mut().enumerate() {
                *byte = (index * 7 + connection) as u8;
            }
        }
        let mut sent = frame_head(kind, size, true);
        let mut wanted = frame_head(kind, size, false);
        let (sent_stamp, wanted_stamp) = (sent.len(), wanted.len());
        sent.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
        wanted.extend(payload);
        Self {
            sent,
            wanted,
            sent_stamp,
            wanted_stamp,
            number: 0,
        }
    }

    /// Makes it differ from all before it.
    pub fn renew(&mut self) {
        self.number = self.number.wrapping_add(1);
        for index in 0..STAMP {
            let digit = b"0123456789abcdef"[(self.number >> (4 * index)) as usize & 15];
            self.wanted[self.wanted_stamp + index] = digit;
            self.sent[self.sent_stamp + index] = digit ^ MASK[index % 4];
        }
    }
}

/// Takes what came of a frame; true when that was the rest of it, and it is the right one.
pub fn receive(
    mut stream: &TcpStream,
    answer: &mut [u8],
    received: &mut usize,
    wanted: &[u8],
) -> io::Result<bool> {
    let count = stream.read(&mut answer[*received..wanted.len()])?;
    if count == 0 {
        return Err(io::Error::other("the server closed a connection"));
    }
    *received += count;
    if *received < wanted.len() {
        return Ok(false);
    }
    *received = 0;
    if answer[..wanted.len()] == *wanted {
        return Ok(true);
    }
    let head = &answer[..answer.len().min(16)];
    Err(io::Error::other(format!(
        "the answer is not the frame that is right: it begins with {head:02x?}"
    )))
}

/// Reads the answer to the handshake, whose end is the last that a server has to say by itself.
fn check_handshake(mut stream: &TcpStream) -> Result<()> {
    let mut head = vec![0; LARGEST_HEAD];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..])? {
            0 => return Err("the server closed a connection instead of opening it".into()),
            count => length += count,
        }
    }
    let head = String::from_utf8_lossy(&head[..length]);
    let is_right = head.starts_with("HTTP/1.1 101 ")
        && head.lines().any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("Sec-WebSocket-Accept") && value.trim() == ACCEPT
            })
        });
    let extended = head
        .to_ascii_lowercase()
        .contains("sec-websocket-extensions");
    if is_right && !extended {
        return Ok(());
    }
    let line = head.lines().next().unwrap_or_default();
    Err(format!("no right answer to the handshake: {line:?}").into())
}

/// A connection that asks for a WebSocket.
fn ask(path: &str, address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((address, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// Opens a connection that will not be answered.
pub fn open_one(path: &str, port: u16) -> Result<TcpStream> {
    let stream = ask(path, Ipv4Addr::LOCALHOST, port)?;
    check_handshake(&stream)?;
    Ok(stream)
}

/// Opens connections, some at a time. Each has sent one message and got it back, so that the server
/// is done with it.
pub fn open(path: &str, port: u16, count: usize, addresses: usize) -> Result<Vec<TcpStream>> {
    let mut all = Vec::with_capacity(count);
    open_into(&mut all, path, port, count, addresses).map_err(|error| {
        let opened = all.len();
        format!("opening the first {opened} connections: {error}")
    })?;
    Ok(all)
}

fn open_into(
    all: &mut Vec<TcpStream>,
    path: &str,
    port: u16,
    count: usize,
    addresses: usize,
) -> Result<()> {
    let mut message = Message::new(Kind::Text, SMALL, 0);
    message.renew();
    let mut answer = vec![0; message.wanted.len()];
    while all.len() < count {
        let first = all.len();
        for number in first..count.min(first + BATCH) {
            let address = Ipv4Addr::new(127, 0, 0, 1 + (number % addresses) as u8);
            all.push(ask(path, address, port)?);
        }
        for mut stream in &all[first..] {
            check_handshake(stream)?;
            stream.write_all(&message.sent)?;
        }
        for stream in &all[first..] {
            let mut received = 0;
            while !receive(stream, &mut answer, &mut received, &message.wanted)? {}
        }
    }
    Ok(())
}
