//! epoll, for the programs that make load: the standard library alone, so that `rustc` is all that
//! they need.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const EPOLL_CTL_ADD: i32 = 1;
const EPOLLIN: u32 = 1;
pub const EVENTS: usize = 64;
const PATIENCE_MS: i32 = 10_000;

#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
pub struct Event {
    events: u32,
    pub data: u64,
}

impl Event {
    pub const NONE: Self = Self { events: 0, data: 0 };
}

unsafe extern "C" {
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: *mut Event) -> i32;
    fn epoll_wait(epoll: i32, events: *mut Event, count: i32, timeout_ms: i32) -> i32;
}

pub struct Poll(OwnedFd);

impl Poll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is new and nobody else's.
        unsafe {
            match epoll_create1(0) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    pub fn add(&self, stream: &TcpStream, data: u64) -> io::Result<()> {
        let mut event = Event {
            events: EPOLLIN,
            data,
        };
        // SAFETY: both descriptors are open, and the kernel copies the event.
        match unsafe {
            epoll_ctl(
                self.0.as_raw_fd(),
                EPOLL_CTL_ADD,
                stream.as_raw_fd(),
                &mut event,
            )
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn wait<'a>(&self, events: &'a mut [Event; EVENTS]) -> io::Result<&'a [Event]> {
        // SAFETY: the kernel writes at most EVENTS of them.
        let count = unsafe {
            epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS as i32,
                PATIENCE_MS,
            )
        };
        match usize::try_from(count) {
            Err(_) => Err(io::Error::last_os_error()),
            Ok(0) => Err(io::Error::other("the server stopped answering")),
            Ok(count) => Ok(&events[..count]),
        }
    }
}
