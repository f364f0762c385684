"""Sessions, messages and the secret in SQLite, pictures in a folder.

One thread owns the database, so that neither a slow disk nor a lock holds up the event loop, and
nothing is written twice at once. The event loop awaits that thread's results.
"""

import asyncio
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

PAGE = 30  # messages a page
SESSION_SECONDS = 30 * 24 * 3600

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS sessions (
    token_digest  BLOB PRIMARY KEY,
    nickname      TEXT NOT NULL,
    nickname_key  TEXT NOT NULL UNIQUE,  -- folded: "Ada" and "ada" are one person
    started       REAL NOT NULL          -- seconds since 1970, UTC
);
CREATE TABLE IF NOT EXISTS secrets (
    purpose  TEXT PRIMARY KEY,
    secret   TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    nickname  TEXT NOT NULL,
    text      TEXT NOT NULL,
    picture   TEXT,                      -- a file's name in the pictures folder
    posted    REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Message:
    id: int
    nickname: str
    text: str
    picture: str | None
    posted: float


class Storage:
    """All that the feed remembers. `folder` is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self.pictures = folder / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._database = self._thread.submit(self._open, folder / "feed.sqlite3").result()

    def close(self) -> None:
        """Finish what has been asked for, then close the database."""
        self._thread.submit(self._database.close).result()
        self._thread.shutdown()

    def latest_id(self) -> int:
        """The newest message's id, 0 if there is none. Blocks: for the start only."""
        return self._thread.submit(self._latest_id).result()

    def cookie_secret(self) -> str:
        """What cookies are signed with, made at the first start. Blocks: for the start only."""
        return self._thread.submit(self._cookie_secret).result()

    async def start_session(self, nickname: str, instead_of: str | None = None) -> str | None:
        """The token of a new session, or None if somebody else is signed in by this nickname.

        `instead_of` is the token of a session that ends as this one starts.
        """
        return await self._run(self._start_session, nickname, instead_of)

    async def end_session(self, token: str) -> None:
        await self._run(self._end_session, token)

    async def nickname_of(self, token: str) -> str | None:
        """Who is signed in with this token, None if nobody is."""
        return await self._run(self._nickname_of, token)

    async def add_message(
        self, nickname: str, text: str, picture: bytes | None = None, extension: str = ""
    ) -> Message:
        return await self._run(self._add_message, nickname, text, picture, extension)

    async def count_messages(self) -> int:
        return await self._run(self._count_messages)

    async def messages_before(self, message_id: int, limit: int = PAGE) -> list[Message]:
        """The newest messages older than this one, the newest first."""
        query = "SELECT * FROM messages WHERE id < ? ORDER BY id DESC LIMIT ?"
        return await self._run(self._messages, query, message_id, limit)

    async def messages_after(self, message_id: int, limit: int = PAGE) -> list[Message]:
        """The oldest messages newer than this one, the oldest first."""
        query = "SELECT * FROM messages WHERE id > ? ORDER BY id LIMIT ?"
        return await self._run(self._messages, query, message_id, limit)

    # Below here everything runs in the storage's thread.

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def _open(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path)
        database.executescript(SCHEMA)
        return database

    def _latest_id(self) -> int:
        row = self._database.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
        return int(row[0])

    def _cookie_secret(self) -> str:
        with self._database as database:
            values = ["cookies", secrets.token_urlsafe(32)]
            database.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", values)
        query = "SELECT secret FROM secrets WHERE purpose = 'cookies'"
        return str(self._database.execute(query).fetchone()[0])

    def _count_messages(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM messages").fetchone()[0])

    def _start_session(self, nickname: str, instead_of: str | None) -> str | None:
        token = secrets.token_urlsafe(32)
        now = time.time()
        try:
            with self._database as database:  # one transaction: all of it, or nothing
                database.execute("DELETE FROM sessions WHERE started < ?", [now - SESSION_SECONDS])
                if instead_of is not None:
                    self._delete_session(instead_of)
                database.execute(
                    "INSERT INTO sessions VALUES (?, ?, ?, ?)",
                    [digest(token), nickname, nickname.casefold(), now],
                )
        except sqlite3.IntegrityError:
            return None
        return token

    def _end_session(self, token: str) -> None:
        with self._database:
            self._delete_session(token)

    def _delete_session(self, token: str) -> None:
        self._database.execute("DELETE FROM sessions WHERE token_digest = ?", [digest(token)])

    def _nickname_of(self, token: str) -> str | None:
        row = self._database.execute(
            "SELECT nickname FROM sessions WHERE token_digest = ? AND started >= ?",
            [digest(token), time.time() - SESSION_SECONDS],
        ).fetchone()
        return row[0] if row else None

    def _add_message(
        self, nickname: str, text: str, picture: bytes | None, extension: str
    ) -> Message:
        name = None
        if picture is not None:
            name = secrets.token_hex(12) + extension
            (self.pictures / name).write_bytes(picture)
        posted = time.time()
        with self._database as database:
            row = database.execute(
                "INSERT INTO messages (nickname, text, picture, posted) VALUES (?, ?, ?, ?)",
                [nickname, text, name, posted],
            )
        return Message(row.lastrowid or 0, nickname, text, name, posted)

    def _messages(self, query: str, message_id: int, limit: int) -> list[Message]:
        return [Message(*row) for row in self._database.execute(query, [message_id, limit])]


def digest(token: str) -> bytes:
    """What is stored of a token: who reads the database can't sign in with it."""
    return hashlib.sha256(token.encode()).digest()
