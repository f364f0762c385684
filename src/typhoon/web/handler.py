"""`RequestHandler`: what applications subclass, and how it is run."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from typhoon import _core
from typhoon.escape import utf8
from typhoon.httputil import HTTPInputError
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.log import app_log, gen_log
from typhoon.web.arguments import ArgumentsMixin
from typhoon.web.cookies.mixin import CookiesMixin
from typhoon.web.errors import Finish, HTTPError, refuse_coroutine
from typhoon.web.events import EventsMixin
from typhoon.web.files.downloads import DownloadsMixin
from typhoon.web.localization import LocaleMixin
from typhoon.web.rendering import RenderingMixin
from typhoon.web.response import ResponseMixin
from typhoon.web.signin import SignInMixin
from typhoon.web.xsrf import XSRFMixin

if TYPE_CHECKING:
    from typhoon.web.transforms import OutputTransform


class RequestHandler(
    ResponseMixin,
    ArgumentsMixin,
    CookiesMixin,
    SignInMixin,
    XSRFMixin,
    LocaleMixin,
    RenderingMixin,
    EventsMixin,
    DownloadsMixin,
):
    """Handles requests: subclass it and define at least one of the HTTP methods.

    For each request a handler is made, and then called in this order: `initialize`, `prepare`,
    the HTTP method, `on_finish`. Methods may be `async def`; plain ones run without a task.

        class StoryHandler(RequestHandler):
            async def get(self, story_id):
                story = await self.application.db.story(int(story_id))
                if story is None:
                    raise HTTPError(404)
                self.write({"title": story.title})

    Handlers live in one thread: that of the event loop. From another one, go through
    `IOLoop.add_callback`.
    """

    SUPPORTED_METHODS: tuple[str, ...] = (
        *("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS"),
    )

    cancel_on_disconnect: ClassVar[bool] = False
    """Whether a coroutine of this handler is cancelled when the client goes away."""

    _stream_request_body: ClassVar[bool] = False
    _prepared_future: "asyncio.Future[None] | None" = None
    _task: "asyncio.Task[None] | None" = None

    def _initialize(self) -> None:
        pass

    initialize: Callable[..., None] = _initialize
    """Override to take the third item of the rule: `def initialize(self, database): …`.

    It may not write anything; `prepare` can.
    """

    @property
    def settings(self) -> dict[str, Any]:
        """The application's settings."""
        settings: dict[str, Any] = self.application.settings
        return settings

    # The HTTP methods. What a subclass does not define is answered with 405.

    def _unimplemented_method(self, *args: str, **kwargs: str) -> None:
        raise HTTPError(405)

    def _allowed_methods(self) -> list[str]:
        absent = RequestHandler._unimplemented_method
        cls = type(self)
        methods = self.SUPPORTED_METHODS
        return [name for name in methods if getattr(cls, name.lower(), absent) is not absent]

    head: Callable[..., Awaitable[None] | None] = _unimplemented_method
    get: Callable[..., Awaitable[None] | None] = _unimplemented_method
    post: Callable[..., Awaitable[None] | None] = _unimplemented_method
    delete: Callable[..., Awaitable[None] | None] = _unimplemented_method
    patch: Callable[..., Awaitable[None] | None] = _unimplemented_method
    put: Callable[..., Awaitable[None] | None] = _unimplemented_method
    options: Callable[..., Awaitable[None] | None] = _unimplemented_method

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Override to take the body in pieces; requires `@stream_request_body`."""
        raise NotImplementedError

    def on_connection_close(self) -> None:
        """Override to clean up when the client goes away before the response is complete.

        Only handlers that wait for something see it. Proxies may keep a connection open after
        the client has gone.
        """

    def detach(self) -> IOStream:
        """Take the connection away from HTTP, for a protocol that begins as an HTTP request.

        What has been flushed is sent first, anything else is not sent at all. The stream belongs
        to the caller, who has to close it, and begins with what the client has sent behind the
        request. The request is over with that: `on_finish` and the access log are not called.

            async def get(self):
                self.set_status(101)
                self.set_header("Connection", "Upgrade")
                self.set_header("Upgrade", "lines")
                await self.flush()
                stream = self.detach()
                try:
                    line = await stream.read_until(b"\\n", max_bytes=1000)
                    await stream.write(line)
                finally:
                    stream.close()

        `StreamClosedError` if the client has gone, and `RuntimeError` if the connection cannot be
        detached: it has to be HTTP/1.
        """
        if not self._finished and self._client_has_gone():
            raise StreamClosedError
        detach = getattr(self.request.connection, "detach", None)
        if detach is None:
            raise RuntimeError("only HTTP/1 connections can be detached")
        stream: IOStream = detach()
        self._finished = True
        return stream

    # Redirects, URLs, settings.

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """Send the client to another URL, which may be relative.

        With 301 if `permanent`, else 302, unless `status` says otherwise.
        """
        if self._headers_written:
            raise RuntimeError("Cannot redirect after headers have been written")
        if status is None:
            status = 301 if permanent else 302
        elif not 300 <= status <= 399:
            raise ValueError(f"{status} is not the status of a redirect")
        self.set_status(status)
        self.set_header("Location", utf8(url))
        self.finish()

    def reverse_url(self, name: str, *args: Any) -> str:
        """The URL of the rule with this name: see `Application.reverse_url`."""
        return str(self.application.reverse_url(name, *args))

    def require_setting(self, name: str, feature: str = "this feature") -> None:
        """Raise an exception if the application does not have this setting."""
        if not self.application.settings.get(name):
            raise RuntimeError(
                f"You must define the '{name}' setting in your application to use {feature}"
            )

    def static_url(self, path: str, include_host: bool | None = None, **kwargs: Any) -> str:
        """The URL of a file below the setting `static_path`, with a hash of its content.

        The hash lets browsers keep the file for good. `include_host` gives a whole URL; its
        default is the handler's attribute of that name, or False. Requires `static_path`.
        """
        self.require_setting("static_path", "static_url")
        settings = self.application.settings
        make = settings["static_handler_class"].make_static_url
        if include_host is None:
            include_host = getattr(self, "include_host", False)
        base = f"{self.request.protocol}://{self.request.host}" if include_host else ""
        return str(base + make(settings, path, **kwargs))

    # Errors.

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """End the request with an error page, in place of what has been written and not sent.

        Keywords go on to `write_error`; `reason` is the phrase of the status line.
        """
        if self._headers_written:
            gen_log.error("Cannot send error response after headers written")
            if not self._finished:
                # The client has to see that the response is not whole.
                self._abandon()
            return
        self.clear()
        reason = kwargs.get("reason")
        if "exc_info" in kwargs:
            exception = kwargs["exc_info"][1]
            if isinstance(exception, HTTPError) and exception.reason:
                reason = exception.reason
        self.set_status(status_code, reason=reason)
        if status_code == 405:
            self.set_header("Allow", ", ".join(self._allowed_methods()))  # RFC 9110 §15.5.6
        try:
            # One that nobody awaits would leave an empty page.
            written: object = self.write_error(status_code, **kwargs)  # type: ignore[func-returns-value]
            refuse_coroutine(
                written, f"{type(self).__name__}.write_error() has to be awaited: make it plain"
            )
        except Exception:
            app_log.error("Uncaught exception in write_error", exc_info=True)
        if not self._finished:
            if status_code in (204, 304):
                self._write_buffer = []  # no page can go with them
            self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Override for error pages of one's own: write them as any other page.

        If an exception was the cause, `exc_info` is its triple. The default is one line of HTML;
        a small page for browsers; and problem details (RFC 9457) for clients whose `Accept`
        prefers JSON. With the setting `serve_traceback` it shows the exception: on a page with
        source and variables for browsers, else as the plain stack trace.
        """
        if hasattr(self, "get_error_html"):
            from typhoon.legacy.get_error_html import answer_error_html

            answer_error_html(self, status_code, **kwargs)
            return
        from typhoon.web.errorpage import answer_error

        exc_info = kwargs.get("exc_info")
        answer_error(self, status_code, exc_info[1] if exc_info else None)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Override to log exceptions differently.

        `HTTPError` with a message is a warning without a stack trace, anything else an error.
        """
        if isinstance(value, HTTPError):
            if value.log_message:
                template = "%d %s: " + value.log_message
                gen_log.warning(template, value.status_code, self._request_summary(), *value.args)
        elif typ is not None and value is not None:
            app_log.error(
                "Uncaught exception %s\n%r",
                self._request_summary(),
                self.request,
                exc_info=(typ, value, tb),
            )

    def _request_summary(self) -> str:
        request = self.request
        return f"{request.method} {request.uri} ({request.remote_ip})"

    def _abandon(self) -> None:
        """End the request without the rest of its response."""
        self.request.connection.abort()
        self._finished = True
        self._log()
        self.on_finish()

    def _client_has_gone(self) -> bool:
        return getattr(self.request.connection, "is_closed", False)

    def _handle_request_exception(self, error: BaseException) -> None:
        if isinstance(error, Finish):
            if not self._finished:
                self.finish(*error.args)
            return
        if isinstance(error, StreamClosedError) and self._client_has_gone():
            # The client has gone in the middle of its response: that is its right.
            if not self._finished:
                self._abandon()
            return
        if isinstance(error, HTTPInputError):
            # A part of the request that was decoded only now is malformed.
            error = HTTPError(400, "%s", error).with_traceback(error.__traceback__)
        exc_info = (type(error), error, error.__traceback__)
        try:
            self.log_exception(*exc_info)
        except Exception:
            app_log.error("Error in exception logger", exc_info=True)
        if self._finished:
            return
        status = error.status_code if isinstance(error, HTTPError) else 500
        self.send_error(status, exc_info=exc_info)

    def _handle_late_exception(self, error: BaseException) -> None:
        """As above, in a task: what fails now has nobody else to say it."""
        try:
            self._handle_request_exception(error)
        except Exception:
            app_log.error("Uncaught exception %s", self._request_summary(), exc_info=True)

    # How a handler is run.

    def _run_replaced(
        self, path_args: Sequence[bytes | None], path_kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, None]:
        """Handle the request through `_execute`, which instrumentation or a subclass replaces."""
        transforms = [make(self.request) for make in self.application.transforms]
        return self._conclude(self._execute(transforms, *path_args, **path_kwargs))

    def _watch_client(self) -> None:
        """Hear of it if the client goes away before the response is complete."""
        self.request.connection.set_close_callback(self._on_connection_close)

    def _wait_for(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Go on in a task, which the application holds until the coroutine says that it is over."""
        self._watch_client()
        task = _start(waiting)
        if not task.done():
            self._task = task
            self.application._tasks.add(task)

    def _task_over(self) -> None:
        """Called by the coroutine itself: a callback of the task would cost each request a turn."""
        self._let_body_come()
        if self._task is not None:
            self.application._tasks.discard(self._task)
            self._task = None
        if not self._finished and self._auto_finish:
            # Cancelled in the middle, or worse: the client shall not wait for what will never come.
            self.request.connection.abort()

    def _answer_cancelled(self) -> None:
        """Tell a client that is still there that nothing more will come."""
        if not (self._finished or self._headers_written or self._client_has_gone()):
            self.send_error(500)

    def _let_body_come(self) -> None:
        """A streamed body waits for `prepare`."""
        if self._prepared_future is not None and not self._prepared_future.done():
            self._prepared_future.set_result(None)

    async def _continue(self, prepared: Awaitable[None] | None) -> None:
        """Everything from `prepare` on, for handlers that wait for it or for the body."""
        result = None
        try:
            if prepared is not None:
                await prepared
            self._let_body_come()
            if self._finished:
                return
            if self._stream_request_body:
                try:
                    await self.request._body_future
                except StreamClosedError:
                    # Nobody waits for a response any more, or has got one already.
                    self._finished = True
                    return
            result = self._call_method()
            if result is not None:
                await result
            if self._auto_finish and not self._finished:
                self.finish()
        except (Exception, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                self._answer_cancelled()
                raise
            self._handle_late_exception(error)
        finally:
            # A future keeps its error, whose traceback refers to this frame.
            del prepared, result
            self._task_over()

    async def _conclude(self, result: Awaitable[None]) -> None:
        """Everything from the awaitable of the HTTP method on."""
        try:
            await result
            if self._auto_finish and not self._finished:
                self.finish()
        except (Exception, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                self._answer_cancelled()
                raise
            self._handle_late_exception(error)
        finally:
            del result  # see above
            self._task_over()

    async def _execute(
        self, transforms: "list[OutputTransform]", *args: bytes | None, **kwargs: Any
    ) -> None:
        """All of a request as one coroutine. Programs replace it to watch requests."""
        self._transforms = transforms
        waiting = self._begin(args, kwargs)
        if waiting is not None:
            await waiting

    def _on_connection_close(self) -> None:
        """The client has gone."""
        if self._sending is not None:
            self._sending.stop()
        self.on_connection_close()
        if self.cancel_on_disconnect and self._task is not None:
            self._task.cancel()


_core.set_handler_class(RequestHandler)


def _is_cancelled(error: BaseException) -> bool:
    """Whether somebody cancels the task, rather than the handler raising an error."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _start(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A task that has run already as far as it goes, where Python can do that (3.12)."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)
