"""The debug page: everything about a request that failed, as one HTML file without scripts."""

import asyncio
import base64
import hashlib
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typhoon._core import __version__
from typhoon.routing import HostMatches, PathMatches, RuleRouter
from typhoon.web.errorpage.report import (
    ExceptionReport,
    Frame,
    plain_traceback,
    report_exception,
    short_path,
)
from typhoon.web.errorpage.source import Line
from typhoon.web.errorpage.values import (
    HIDDEN,
    describe,
    is_secret,
    shortened,
    visible,
    without_secrets,
)

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest
    from typhoon.web.handler import RequestHandler

OPEN_FRAMES = 6
"""Frames of the application that are unfolded."""

ROWS = 60
"""Headers, arguments and cookies that are shown of each."""

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""The Content-Security-Policy that lets through this style, and nothing that slipped in."""

_HIDDEN = f'<span class="hidden" title="Hidden because of its name">{HIDDEN}</span>'


def debug_page(handler: "RequestHandler", error: BaseException) -> bytes:
    """The page about an exception that ended this handler's request."""
    report = report_exception(error)
    request = handler.request
    status = f"{handler.get_status()} {handler._reason}"
    title = f"{report.name}: {shortened(report.message, 80)}" if report.message else report.name
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width">\n',
        '<meta name="color-scheme" content="light dark">\n',
        '<meta name="robots" content="noindex">\n',
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        f'<header>\n<p class="request"><b>{_text(status)}</b> <span>{_text(request.method)} ',
        f"{_text(_url(request.uri))}</span></p>\n",
        *_headline(report, "h1"),
        '</header>\n<nav><a href="#traceback">Traceback</a> <a href="#request">Request</a> ',
        '<a href="#versions">Versions</a> <a href="#plain">Plain text</a></nav>\n<main>\n',
        *_rules(handler),
        '<section id="traceback">\n<h2>Traceback <small>the failing call first</small></h2>\n',
        *_exception(report),
        "</section>\n",
        *_request(handler),
        *_versions(),
        '<section id="plain">\n<h2>Plain text <small>one click selects all of it</small></h2>\n',
        f'<pre class="plain" tabindex="0">{_text(plain_traceback(error))}</pre>\n</section>\n',
        "</main>\n<footer>This page is shown because the setting <code>serve_traceback</code> is ",
        "on (<code>debug</code> turns it on). Never do that where strangers can see it.</footer>\n",
        "</body>\n</html>\n",
    ]
    return "".join(parts).encode("utf-8", "backslashreplace")


def _text(text: object) -> str:
    return escape(visible(str(text)))


# The traceback.


def _headline(report: ExceptionReport, tag: str) -> Iterator[str]:
    yield f'<{tag}><span class="module">{_text(report.module)}</span>{_text(report.name)}</{tag}>\n'
    if report.message:
        yield f'<p class="message">{_text(report.message)}</p>\n'
    for note in report.notes:
        yield f'<p class="note">{_text(note)}</p>\n'


def _exception(report: ExceptionReport) -> Iterator[str]:
    yield from _frames(report.frames)
    if report.members or report.omitted:
        yield '<div class="members">\n'
        for number, member in enumerate(report.members, 1):
            yield '<details class="member" open>\n<summary>'
            yield f"<small>{number} of {len(report.members) + report.omitted} in the group</small>"
            yield "</summary>\n"
            yield from _headline(member, "h3")
            yield from _exception(member)
            yield "</details>\n"
        if report.omitted:
            yield f'<p class="elided">{report.omitted:,} more exceptions are not shown</p>\n'
        yield "</div>\n"
    if report.cause is not None:
        text = "Caused by" if report.is_direct_cause else "Raised while this was handled"
        yield f'<div class="cause">\n<p class="link">{text}</p>\n'
        yield from _headline(report.cause, "h3")
        yield from _exception(report.cause)
        yield "</div>\n"


def _frames(frames: list[Frame | int]) -> Iterator[str]:
    is_own = any(isinstance(frame, Frame) and not frame.is_library for frame in frames)
    room = OPEN_FRAMES
    first = True
    for is_folded, group in groupby(frames, lambda f: isinstance(f, Frame) and f.is_library):
        members = list(group)
        if is_folded:
            yield from _folded([f for f in members if isinstance(f, Frame)], not is_own and first)
            first = False
            continue
        for frame in members:
            if isinstance(frame, int):
                yield f'<p class="elided">{frame:,} calls are not shown</p>\n'
                continue
            yield from _frame(frame, is_open=room > 0, shows_values=room == OPEN_FRAMES)
            room -= 1
        first = False


def _folded(frames: list[Frame], is_open: bool) -> Iterator[str]:
    """Calls in libraries between those of the application."""
    names = list(dict.fromkeys(_package(frame.path) for frame in frames))
    count = f"{len(frames)} calls" if len(frames) > 1 else "1 call"
    more = "…" if len(names) > 4 else ""
    yield f'<details class="libraries"{" open" if is_open else ""}>\n<summary>{count} in '
    yield f"{_text(', '.join(names[:4]))}{more}</summary>\n"
    for index, frame in enumerate(frames):
        yield from _frame(frame, is_open=is_open and not index, shows_values=False)
    yield "</details>\n"


def _frame(frame: Frame, *, is_open: bool, shows_values: bool) -> Iterator[str]:
    folder, name = os.path.split(short_path(frame.path))
    kind = "library" if frame.is_library else "own"
    yield f'<details class="frame {kind}"{" open" if is_open else ""}>\n<summary>'
    yield f'<span class="function">{_text(frame.function)}</span> '
    yield f'<span class="file" title="{_text(frame.path)}">{_text(folder + "/" if folder else "")}'
    yield f"<b>{_text(name)}</b>:{frame.line}</span></summary>\n"
    if frame.lines:
        yield '<pre class="source"><code>'
        yield from map(_line, frame.lines)
        yield "</code></pre>\n"
    else:
        yield '<p class="elided">The source is not shown here.</p>\n'
    if frame.values or frame.omitted_values:
        count = len(frame.values) + frame.omitted_values
        yield f'<details class="values"{" open" if shows_values else ""}>\n<summary>'
        yield f"{count} local variable{'s' if count > 1 else ''}</summary>\n"
        yield from _table((name, value or None) for name, value in frame.values)
        if frame.omitted_values:
            yield f'<p class="elided">{frame.omitted_values:,} more are not shown</p>\n'
        yield "</details>\n"
    yield "</details>\n"


def _line(line: Line) -> str:
    pieces = []
    for text, kind, is_marked in line.pieces:
        piece = _text(text)
        if kind:
            piece = f'<span class="{kind}">{piece}</span>'
        pieces.append(f"<mark>{piece}</mark>" if is_marked else piece)
    current = " current" if line.is_current else ""
    number = f'<span class="number">{line.number}</span>'
    return f'<span class="line{current}">{number}{"".join(pieces)}\n</span>'


def _package(path: str) -> str:
    """The name of the library that a file belongs to."""
    first = re.split(r"[/\\]", short_path(path), maxsplit=1)[0]
    return first.removeprefix("<frozen ").removesuffix(">").removesuffix(".py") or path


# Everything else.


def _rules(handler: "RequestHandler") -> Iterator[str]:
    """What the application would have answered, if it had nothing for this path."""
    from typhoon.web.redirect import ErrorHandler

    if type(handler) is not ErrorHandler or handler.get_status() != 404:
        return
    rules = list(_all_rules(handler.application.default_router, ""))
    yield '<section id="rules">\n<h2>No rule is for this path</h2>\n'
    if rules:
        yield from _table(rules[:ROWS])
    else:
        yield '<p class="elided">The application has no rules at all.</p>\n'
    if len(rules) > ROWS:
        yield f'<p class="elided">{len(rules) - ROWS:,} more are not shown</p>\n'
    yield "</section>\n"


def _all_rules(router: RuleRouter, host: str) -> Iterator[tuple[str, str]]:
    for rule in router.rules:
        matcher, target = rule.matcher, rule.target
        if isinstance(target, RuleRouter):
            pattern = matcher.host_pattern.pattern if isinstance(matcher, HostMatches) else ""
            yield from _all_rules(target, pattern)
        else:
            path = matcher.regex.pattern if isinstance(matcher, PathMatches) else repr(matcher)
            name = f"{target.__module__}.{target.__qualname__}" if isinstance(target, type) else ""
            yield host + path.removesuffix("$"), name or repr(target)


def _table(rows: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """Names and values; a value that is None is hidden."""
    yield "<table>\n"
    for name, value in rows:
        shown = _HIDDEN if value is None else f"<code>{_text(value)}</code>"
        yield f'<tr><th scope="row">{_text(name)}</th><td>{shown}</td></tr>\n'
    yield "</table>\n"


def _request(handler: "RequestHandler") -> Iterator[str]:
    request = handler.request
    kind = type(handler)
    overview = [
        ("URL", _url(request.full_url())),
        ("Method", f"{request.method} ({request.version})"),
        ("Client", str(request.remote_ip)),
        ("Handler", f"{kind.__module__}.{kind.__qualname__}"),
    ]
    arguments = [*getattr(handler, "path_args", ()), *getattr(handler, "path_kwargs", {}).items()]
    if arguments:
        overview.append(("Groups of the path", describe(arguments)))
    yield '<section id="request">\n<h2>Request</h2>\n'
    yield from _table(overview)
    for name, rows in (
        ("Arguments of the query", _arguments(lambda: request.query_arguments)),
        ("Arguments of the body", _arguments(lambda: request.body_arguments)),
        ("Files", _files(request)),
        ("Cookies", _cookies(request)),
        ("Headers", _headers(request)),
    ):
        shown = rows[:ROWS]
        if shown:
            is_open = "" if name == "Headers" else " open"
            yield f"<details{is_open}>\n<summary>{name} <small>{len(rows):,}</small></summary>\n"
            yield from _table(shown)
            if len(rows) > ROWS:
                yield f'<p class="elided">{len(rows) - ROWS:,} more are not shown</p>\n'
            yield "</details>\n"
    yield "</section>\n"


Rows = list[tuple[str, str | None]]


def _url(url: str) -> str:
    return shortened(without_secrets(url), 2000)


def _arguments(get: Callable[[], dict[str, list[bytes]]]) -> Rows:
    try:
        arguments = get()
    except Exception as error:
        return [("These cannot be read", str(error))]  # malformed: that may be what failed
    rows: Rows = []
    for name, values in arguments.items():
        for value in values:
            text = value[:1000].decode("utf-8", "backslashreplace")
            rows.append((shortened(name, 100), None if is_secret(name) else describe(text)))
    return rows


def _files(request: "HTTPServerRequest") -> Rows:
    try:
        files = request.files
    except Exception:
        return []  # said of the arguments already
    return [
        (
            shortened(name, 100),
            f"{shortened(str(file.filename), 100)}, {file.content_type}, {len(file.body):,} bytes",
        )
        for name, uploads in files.items()
        for file in uploads
    ]


def _cookies(request: "HTTPServerRequest") -> Rows:
    return [(shortened(name, 100), None) for name in request.cookies]


def _headers(request: "HTTPServerRequest") -> Rows:
    return [
        (name, None if is_secret(name) else shortened(without_secrets(value), 1000))
        for name, value in request.headers.get_all()
    ]


def _versions() -> Iterator[str]:
    loop = type(asyncio.get_running_loop())
    rows: list[tuple[str, Any]] = [
        ("Typhoon", __version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("Event loop", f"{loop.__module__}.{loop.__qualname__}"),
        ("System", platform.platform()),
        ("Process", f"{os.getpid()} in {os.getcwd()}"),
    ]
    yield '<section id="versions">\n<h2>Versions</h2>\n'
    yield from _table(rows)
    yield "</section>\n"
