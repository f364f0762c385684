"""The load of the HTTP clients on pycurl itself, without an event loop.

`CurlMulti` with `socket_action` and epoll, which libcurl's documentation recommends over `perform`
and `select`; the handles are used again, and each keeps its buffers. The head is kept as it came:
all others have the headers at hand, too.
"""

import select
import time
from io import BytesIO

import meter
import pycurl


class Loop:
    """The sockets and the timer of a `CurlMulti`."""

    def __init__(self) -> None:
        self.multi = pycurl.CurlMulti()
        self._epoll = select.epoll()
        self._known: set[int] = set()
        self._timer: float | None = None
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def _watch(self, event: int, fd: int, multi: object, data: object) -> None:
        if event == pycurl.POLL_REMOVE:
            if fd in self._known:
                self._known.remove(fd)
                self._epoll.unregister(fd)
            return
        mask = select.EPOLLIN if event & pycurl.POLL_IN else 0
        mask |= select.EPOLLOUT if event & pycurl.POLL_OUT else 0
        if fd in self._known:
            self._epoll.modify(fd, mask)
        else:
            self._known.add(fd)
            self._epoll.register(fd, mask)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def step(self) -> list[pycurl.Curl]:
        """Waits for what comes next; returns the transfers that have ended well."""
        timeout = None if self._timer is None else max(0.0, self._timer - time.monotonic())
        act = self.multi.socket_action
        for fd, events in self._epoll.poll(timeout) if timeout != 0 else ():
            mask = pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0
            mask |= pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            act(fd, mask)
        if self._timer is not None and self._timer <= time.monotonic():
            self._timer = None
            act(pycurl.SOCKET_TIMEOUT, 0)
        _, done, failed = self.multi.info_read()
        if failed:
            meter.wrong(failed)
        return done


def new_curl() -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.CAINFO, meter.CA_FILE)
    curl.setopt(pycurl.NOPROXY, "*")
    return curl


class Transfer:
    """A handle and what libcurl writes the head and the body to."""

    def __init__(self) -> None:
        self.curl = new_curl()
        self.head, self.body = BytesIO(), BytesIO()
        self.curl.setopt(pycurl.URL, meter.URL)
        self.curl.setopt(pycurl.HEADERFUNCTION, self.head.write)
        self.curl.setopt(pycurl.WRITEFUNCTION, self.body.write)

    def check(self) -> None:
        status, body = self.curl.getinfo(pycurl.RESPONSE_CODE), self.body.getvalue()
        if status != 200 or body != meter.ANSWER:
            meter.wrong((status, body))
        for buffer in (self.head, self.body):
            buffer.seek(0)
            buffer.truncate()


def batch(loop: Loop, transfers: dict[pycurl.Curl, Transfer], count: int) -> None:
    multi = loop.multi
    for curl in transfers:
        multi.add_handle(curl)
    started, left = len(transfers), count
    while left:
        for curl in loop.step():
            transfers[curl].check()
            multi.remove_handle(curl)
            left -= 1
            if started < count:
                multi.add_handle(curl)
                started += 1


def gets() -> None:
    loop = Loop()
    transfers = {one.curl: one for one in (Transfer() for _ in range(meter.CONCURRENCY))}
    least, count = meter.sizes()
    batch(loop, transfers, meter.WARM_UP_REQUESTS)
    done, clock = 0, meter.Clock()
    while clock.seconds < least:
        batch(loop, transfers, count)
        done += count
    clock.tell(count=done)


def downloads() -> None:
    curl = new_curl()
    curl.setopt(pycurl.BUFFERSIZE, meter.PIECE)
    for sink in meter.sinks():
        curl.setopt(pycurl.URL, sink.url)
        curl.setopt(pycurl.WRITEFUNCTION, sink.take)
        curl.perform()
        sink.check(curl.getinfo(pycurl.RESPONSE_CODE))


if __name__ == "__main__":
    (gets if meter.job() == "get" else downloads)()
