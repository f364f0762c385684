//! The load of the WebSocket workloads. One thread over epoll, so that it costs less than the
//! servers under test; the standard library alone, so that `rustc` is all it needs.
//!
//! Every frame is masked, and each message differs from all others of its connection. Only the eight
//! bytes that differ are masked anew. What comes back is compared byte by byte with the one frame
//! that is right: no extension, no fragments, the shortest length, not masked.
//!
//! - `ws echo PORT CONNECTIONS KIND SIZE`: each connection sends a message, waits for all of the
//!   answer, and sends the next. KIND is `text` or `binary`.
//! - `ws broadcast PORT SUBSCRIBERS`: another connection publishes a message, and the next when all
//!   subscribers have it.
//! - `ws hold PORT CONNECTIONS ADDRESSES CHATTING`: of the connections, which go to 127.0.0.1 and the
//!   addresses behind it, CHATTING send a message every second.
//!
//! It opens all connections and says so. Then each line that it reads is the number of seconds to go
//! on for. At the end of the input all connections have to be open still. It prints JSON objects,
//! one a line.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, io, thread};

use poll::{EVENTS, Event, Poll};
use ws_connection::{Kind, Message, Result, SMALL, open, open_one, receive};

mod poll;
mod ws_connection;

const CHAT_PERIOD: Duration = Duration::from_secs(1);

/// A connection with its own messages, one in flight.
struct Talker {
    stream: TcpStream,
    message: Message,
    answer: Vec<u8>,
    received: usize,
    due: Instant,
}

impl Talker {
    fn new(stream: TcpStream, kind: Kind, size: usize, number: usize) -> Self {
        let message = Message::new(kind, size, number);
        Self {
            stream,
            answer: vec![0; message.wanted.len()],
            message,
            received: 0,
            due: Instant::now(),
        }
    }

    fn send_next(&mut self) -> io::Result<()> {
        self.message.renew();
        self.stream.write_all(&self.message.sent)
    }

    fn receive(&mut self) -> io::Result<bool> {
        let wanted = &self.message.wanted;
        receive(&self.stream, &mut self.answer, &mut self.received, wanted)
    }
}

fn talkers(streams: Vec<TcpStream>, kind: Kind, size: usize, poll: &Poll) -> Result<Vec<Talker>> {
    let mut all = Vec::with_capacity(streams.len());
    for (number, stream) in streams.into_iter().enumerate() {
        poll.add(&stream, number as u64)?;
        all.push(Talker::new(stream, kind, size, number));
    }
    Ok(all)
}

/// What is done with connections once they are open, for some time.
trait Work {
    fn go_on(&mut self, limit: Duration) -> Result<()>;
    fn streams(&self) -> impl Iterator<Item = &TcpStream>;
}

/// Works as often and as long as the lines of the input say.
fn serve(mut work: impl Work, opened_in: Duration) -> Result<()> {
    let count = work.streams().count();
    let seconds = opened_in.as_secs_f64();
    println!("{{\"open\": {count}, \"seconds\": {seconds}}}");
    for line in io::stdin().lines() {
        work.go_on(Duration::from_secs_f64(line?.parse()?))?;
    }
    let closed = work.streams().filter(|stream| is_closed(stream)).count();
    println!("{{\"closed\": {closed}}}");
    Ok(())
}

fn tell(messages: usize, time: Duration) {
    let seconds = time.as_secs_f64();
    println!("{{\"messages\": {messages}, \"seconds\": {seconds}}}");
}

struct Echo {
    poll: Poll,
    all: Vec<Talker>,
}

impl Work for Echo {
    fn go_on(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        for talker in &mut self.all {
            talker.send_next()?;
        }
        let mut events = [Event::NONE; EVENTS];
        let mut messages = 0;
        let mut ended = None;
        // Every connection gets its last answer, so that nothing is left for the next time.
        let mut waiting = self.all.len();
        while waiting > 0 {
            if ended.is_none() && start.elapsed() >= limit {
                ended = Some(start.elapsed());
            }
            for event in self.poll.wait(&mut events)? {
                let talker = &mut self.all[event.data as usize];
                if !talker.receive()? {
                    continue;
                }
                if ended.is_none() {
                    messages += 1;
                    talker.send_next()?;
                } else {
                    waiting -= 1;
                }
            }
        }
        tell(messages, ended.unwrap_or_default());
        Ok(())
    }

    fn streams(&self) -> impl Iterator<Item = &TcpStream> {
        self.all.iter().map(|talker| &talker.stream)
    }
}

struct Broadcast {
    poll: Poll,
    publisher: TcpStream,
    message: Message,
    subscribers: Vec<TcpStream>,
    answers: Vec<u8>,
    received: Vec<usize>,
}

impl Broadcast {
    fn open(port: u16, count: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let subscribers = open("/subscribe", port, count, 1)?;
        for (number, stream) in subscribers.iter().enumerate() {
            poll.add(stream, number as u64)?;
        }
        let publisher = open_one("/publish", port)?;
        let message = Message::new(Kind::Text, SMALL, 0);
        Ok(Self {
            poll,
            publisher,
            answers: vec![0; message.wanted.len() * count],
            received: vec![0; count],
            message,
            subscribers,
        })
    }

    fn publish(&mut self) -> Result<()> {
        self.message.renew();
        self.publisher.write_all(&self.message.sent)?;
        let wanted = &self.message.wanted;
        let mut events = [Event::NONE; EVENTS];
        let mut waiting = self.subscribers.len();
        while waiting > 0 {
            for event in self.poll.wait(&mut events)? {
                let number = event.data as usize;
                let answer = &mut self.answers[number * wanted.len()..][..wanted.len()];
                let received = &mut self.received[number];
                if receive(&self.subscribers[number], answer, received, wanted)? {
                    waiting -= 1;
                }
            }
        }
        Ok(())
    }
}

impl Work for Broadcast {
    fn go_on(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        let mut messages = 0;
        while start.elapsed() < limit {
            self.publish()?;
            messages += self.subscribers.len();
        }
        tell(messages, start.elapsed());
        Ok(())
    }

    fn streams(&self) -> impl Iterator<Item = &TcpStream> {
        self.subscribers.iter()
    }
}

struct Hold {
    poll: Poll,
    idle: Vec<TcpStream>,
    chatting: Vec<Talker>,
}

impl Hold {
    fn open(port: u16, count: usize, addresses: usize, chatting: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut idle = open("/echo", port, count, addresses)?;
        // Those who chat came at different times.
        let chatters = (0..chatting)
            .rev()
            .map(|number| idle.swap_remove(number * (count / chatting)))
            .collect();
        let chatting = talkers(chatters, Kind::Text, SMALL, &poll)?;
        Ok(Self {
            poll,
            idle,
            chatting,
        })
    }
}

impl Work for Hold {
    /// Each sends a message every second, in turn; tells how long the answers took.
    fn go_on(&mut self, limit: Duration) -> Result<()> {
        let interval = CHAT_PERIOD / self.chatting.len() as u32;
        let mut events = [Event::NONE; EVENTS];
        let mut times = Vec::new();
        let (mut sent, mut next) = (0, Instant::now());
        let end = next + limit;
        while next < end || times.len() < sent {
            if next < end && Instant::now() >= next {
                let number = sent % self.chatting.len();
                let talker = &mut self.chatting[number];
                talker.due = next;
                talker.send_next()?;
                sent += 1;
                next += interval;
            } else if times.len() < sent {
                for event in self.poll.wait(&mut events)? {
                    let talker = &mut self.chatting[event.data as usize];
                    if talker.receive()? {
                        times.push(talker.due.elapsed());
                    }
                }
            } else {
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
        times.sort();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        let [middle, high, most] = [50, 99, 100].map(|share| at(share).as_secs_f64() * 1e3);
        println!(
            "{{\"messages\": {sent}, \"p50_ms\": {middle}, \"p99_ms\": {high}, \"max_ms\": {most}}}"
        );
        Ok(())
    }

    fn streams(&self) -> impl Iterator<Item = &TcpStream> {
        self.idle
            .iter()
            .chain(self.chatting.iter().map(|talker| &talker.stream))
    }
}

/// Whether the server closed it, or said something that nobody asked for.
fn is_closed(mut stream: &TcpStream) -> bool {
    let answer = stream
        .set_nonblocking(true)
        .and_then(|()| stream.read(&mut [0]));
    !matches!(answer, Err(error) if error.kind() == ErrorKind::WouldBlock)
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

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    match arguments.as_slice() {
        ["echo", port, connections, kind, size] => {
            let kind = match *kind {
                "text" => Kind::Text,
                "binary" => Kind::Binary,
                _ => return Err("KIND is text or binary".into()),
            };
            let streams = open("/echo", port.parse()?, connections.parse()?, 1)?;
            let opened_in = start.elapsed();
            let poll = Poll::new()?;
            let all = talkers(streams, kind, size.parse()?, &poll)?;
            serve(Echo { poll, all }, opened_in)
        }
        ["broadcast", port, subscribers] => {
            let work = Broadcast::open(port.parse()?, subscribers.parse()?)?;
            serve(work, start.elapsed())
        }
        ["hold", port, count, addresses, chatting] => {
            let (count, addresses) = (count.parse()?, addresses.parse()?);
            let work = Hold::open(port.parse()?, count, addresses, chatting.parse()?)?;
            serve(work, start.elapsed())
        }
        _ => Err("usage: ws echo | broadcast | hold ARGUMENTS".into()),
    }
}
