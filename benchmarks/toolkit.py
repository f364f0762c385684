"""The toolkit's workloads and who takes part: coroutines, queues, and streams over TCP."""

from collections.abc import Sequence
from dataclasses import dataclass

SUBJECT = "typhoon"
UVLOOP = "uvloop"
ASYNCIO = "asyncio"
OWN = "its own"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Peer:
    """A library on an event loop. `program` follows the interpreter's path.

    `packages` are the distributions whose versions the report gives. A limit shows what can be
    had at all; it is no peer to be compared with. `counterpart` is the library of Typhoon's that it
    is compared with.
    """

    library: str
    loop: str
    program: tuple[str, ...]
    packages: tuple[str, ...] = ()
    is_limit: bool = False
    counterpart: str = SUBJECT

    @property
    def name(self) -> str:
        return f"{self.library} on {self.loop}" if self.loop in (UVLOOP, ASYNCIO) else self.library

    def command(self, *arguments: str) -> tuple[str, ...]:
        """What follows the interpreter's path; the job is the first of the arguments."""
        job, *more = arguments
        return (*self.program, job, self.loop, *more)


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure beside speed, of which less is better, and the project's bar for it.

    `key` is its name in the JSON.
    """

    key: str
    title: str
    bar: float


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured.

    `job` is what the programs are told to do; `unit` is what is counted; `limit` is what else is
    measured; `once` is for what takes too long for several rounds.
    """

    name: str
    family: str
    job: str
    title: str
    unit: str
    peers: tuple[Peer, ...]
    limit: Limit | None = None
    once: bool = False


def on_both(
    library: str, *program: str, packages: tuple[str, ...] = (), is_limit: bool = False
) -> list[Peer]:
    return [
        Peer(library, UVLOOP, program, (*packages, UVLOOP), is_limit),
        Peer(library, ASYNCIO, program, packages, is_limit),
    ]


def _typhoon_and_tornado(program: str) -> list[Peer]:
    """Tornado runs the same file with its imports changed."""
    changed = ("with_imports.py", "typhoon=tornado", f"toolkit/{program}")
    return [
        *on_both("typhoon", f"toolkit/{program}", packages=("typhoon",)),
        *on_both("tornado", *changed, packages=("tornado",)),
    ]


COROUTINES = tuple(_typhoon_and_tornado("typhoon_coroutines.py"))
QUEUES = (
    *_typhoon_and_tornado("typhoon_queues.py"),
    *on_both(
        "asyncio.Queue", "with_imports.py", "typhoon.queues=asyncio", "toolkit/typhoon_queues.py"
    ),
)
STREAMS = (
    *_typhoon_and_tornado("typhoon_streams.py"),
    *on_both("asyncio streams", "toolkit/asyncio_streams.py"),
    Peer("anyio", UVLOOP, ("toolkit/anyio_streams.py",), ("anyio", UVLOOP)),
    Peer("trio", OWN, ("toolkit/trio_streams.py",), ("trio",)),
    Peer("curio", OWN, ("toolkit/curio_streams.py",), ("curio",)),
)
PROTOCOL = tuple(on_both("asyncio protocol", "toolkit/asyncio_protocol.py", is_limit=True))
SOCKETS = Peer("blocking sockets", NONE, ("toolkit/blocking_sockets.py",), is_limit=True)

TASKS = (
    Task(
        "coroutine-coroutines",
        "coroutine",
        "coroutines",
        "A generator coroutine that yields ten others, each of which finishes at once",
        "calls",
        COROUTINES,
    ),
    Task(
        "coroutine-done",
        "coroutine",
        "done",
        "A generator coroutine that yields ten futures that are done",
        "calls",
        COROUTINES,
    ),
    Task(
        "coroutine-turns",
        "coroutine",
        "turns",
        "A generator coroutine that yields ten futures, each resolved in the loop's next turn",
        "calls",
        COROUTINES,
    ),
    Task(
        "queue-tasks",
        "queue",
        "tasks",
        "`Queue` without a limit, from one task to another",
        "items",
        QUEUES,
    ),
    Task(
        "queue-full",
        "queue",
        "full",
        "`Queue(maxsize=1)`, from one task to another: each item waits",
        "items",
        QUEUES,
    ),
    Task(
        "queue-nowait",
        "queue",
        "nowait",
        "`put_nowait` and `get` in one task",
        "items",
        QUEUES,
    ),
    Task(
        "tcpecho",
        "tcpecho",
        "echo",
        "Echo of 1 KiB messages over 64 TCP connections",
        "messages",
        (*STREAMS, *PROTOCOL),
    ),
    Task(
        "transfer",
        "transfer",
        "receive",
        "100 MiB one way over a TCP connection, in pieces of 64 KiB",
        "MiB",
        (*STREAMS, SOCKETS),
    ),
)


def choose(tasks: Sequence[Task], names: Sequence[str]) -> list[Task]:
    """The tasks that are named, or whose family is (all of them for none)."""
    return [task for task in tasks if not names or task.name in names or task.family in names]
