"""The WebSocket workloads and who takes part, without compression."""

from toolkit import NONE, UVLOOP, Limit, Peer, Task

FAMILY = "websocket"
MOST_ROUNDS = 3
CONNECTIONS = 64
SUBSCRIBERS = 1000
SMALL = 32
LARGE = 64 << 10
ADDRESSES = 5  # of the server: from one address to another there are fewer than 65,536 connections
CHATTING = 1000
CHAT_SECONDS = 5

TYPHOON = "sockets/typhoon_sockets.py"
CHANGED = ("with_imports.py", "typhoon=tornado", TYPHOON)


def _uvicorn(implementation: str) -> tuple[str, ...]:
    app = ("-m", "uvicorn", "asgi_sockets:app", "--app-dir", "sockets", "--port", "{port}")
    options = "--loop uvloop --no-access-log --log-level warning --lifespan off"
    sockets = "--ws-per-message-deflate false --ws-ping-interval 0 --ws-ping-timeout 0"
    return (*app, *options.split(), "--ws", implementation, *sockets.split())


GRANIAN = (
    *("-m", "granian", "rsgi_sockets:app", "--working-dir", "sockets", "--port", "{port}"),
    *("--interface", "rsgi", "--backlog", "16384", "--workers", "1", "--runtime-threads", "1"),
    *("--loop", "uvloop", "--http", "1", "--no-access-log", "--log-level", "warning"),
)

PEERS = (
    Peer("typhoon", UVLOOP, (TYPHOON, "1"), ("typhoon", UVLOOP)),
    Peer("tornado", UVLOOP, (*CHANGED, "1"), ("tornado", UVLOOP)),
    Peer("aiohttp", UVLOOP, ("sockets/aiohttp_sockets.py",), ("aiohttp", UVLOOP)),
    Peer(
        "uvicorn, websockets",
        UVLOOP,
        _uvicorn("websockets-sansio"),
        ("uvicorn", "websockets", UVLOOP),
    ),
    Peer("uvicorn, wsproto", UVLOOP, _uvicorn("wsproto"), ("uvicorn", "wsproto", UVLOOP)),
    Peer("sanic", UVLOOP, ("sockets/sanic_sockets.py",), ("sanic", "websockets", UVLOOP)),
    Peer("granian", UVLOOP, GRANIAN, ("granian", UVLOOP)),
    Peer("socketify", NONE, ("sockets/socketify_sockets.py",), ("socketify",)),
    Peer("picows", UVLOOP, ("sockets/picows_sockets.py",), ("picows", UVLOOP)),
    Peer("websockets", UVLOOP, ("sockets/websockets_sockets.py",), ("websockets", UVLOOP)),
)
PLAIN = Peer("plain sockets", UVLOOP, ("sockets/plain_sockets.py",), is_limit=True)
ON_ALL_ADDRESSES = (Peer("typhoon", UVLOOP, (TYPHOON, str(ADDRESSES)), ("typhoon", UVLOOP)),)

TASKS = (
    Task(
        "ws-echo",
        FAMILY,
        "echo",
        "Echo of texts of 32 bytes over 64 WebSockets",
        "messages",
        PEERS,
    ),
    Task(
        "ws-echo64k",
        FAMILY,
        "echo",
        "Echo of binary messages of 64 KiB over 64 WebSockets",
        "messages",
        PEERS,
    ),
    Task(
        "ws-broadcast",
        FAMILY,
        "broadcast",
        "A text of 32 bytes to 1,000 subscribers, until all have it",
        "deliveries",
        (*PEERS, PLAIN),
    ),
    Task(
        "ws-idle",
        FAMILY,
        "hold",
        "Many idle WebSockets: how fast they open, and what each takes of memory",
        "connections",
        PEERS,
        limit=Limit("bytes_each", "bytes each", 6 << 10),
        once=True,
    ),
    Task(
        "ws-many",
        FAMILY,
        "hold",
        "Very many of them while 1,000 chat: how late the loop is",
        "connections",
        ON_ALL_ADDRESSES,
        limit=Limit("loop_p99_ms", "loop's lateness, p99, ms", 10.0),
        once=True,
    ),
)
