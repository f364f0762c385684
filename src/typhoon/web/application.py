"""`Application`: the rules, the settings, and the way of a request to its handler."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from typhoon import _core, httputil
from typhoon.escape import utf8
from typhoon.httpserver import HTTPServer
from typhoon.ioloop.registry import is_loop_running
from typhoon.iostream import StreamClosedError
from typhoon.legacy.gzip_setting import warn_of_gzip
from typhoon.log import access_log
from typhoon.routing import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    ReversibleRouter,
    ReversibleRuleRouter,
    Rule,
    RuleRouter,
    URLSpec,
    _RuleList,
)
from typhoon.web.handler import RequestHandler
from typhoon.web.redirect import ErrorHandler
from typhoon.web.settings import complete_settings
from typhoon.web.transforms import OutputTransform
from typhoon.web.uimodule import load_ui_methods, load_ui_modules

INFO = 20
"""`logging.INFO`, as a constant of this module: asked for at every request."""


class _HandlerRouter(ReversibleRuleRouter):
    """Rules whose targets may be handler classes."""

    def __init__(self, application: "Application", rules: _RuleList | None = None) -> None:
        self.application = application
        super().__init__(rules)

    def add_rules(self, rules: _RuleList) -> None:
        """Tuples become `URLSpec`, unless their first item is a matcher."""
        super().add_rules(
            [
                URLSpec(*rule)
                if isinstance(rule, tuple | list) and isinstance(rule[0], str | re.Pattern)
                else rule
                for rule in rules
            ]
        )

    def process_rule(self, rule: Rule) -> Rule:
        rule = super().process_rule(rule)
        target = rule.target
        if not callable(target) and not isinstance(target, httputil.HTTPServerConnectionDelegate):
            hint = ": write its class" if isinstance(target, RequestHandler) else ""
            raise TypeError(
                "the target of a rule is a subclass of RequestHandler, a router, a list of rules "
                f"or a function of the request, not {target!r:.100}{hint}"
            )
        rule.is_handler = (
            isinstance(rule.target, type)
            and issubclass(rule.target, RequestHandler)
            and not rule.target._stream_request_body
        )
        return rule

    def _nested_router(self, rules: _RuleList) -> RuleRouter:
        return _HandlerRouter(self.application, rules)

    def get_target_delegate(
        self, target: Any, request: httputil.HTTPServerRequest, **target_params: Any
    ) -> httputil.HTTPMessageDelegate | None:
        if isinstance(target, type) and issubclass(target, RequestHandler):
            return self.application.get_handler_delegate(request, target, **target_params)
        return super().get_target_delegate(target, request, **target_params)


class Application(ReversibleRouter):
    """A web application: rules that say which handler gets which request, and settings.

        application = Application([
            (r"/", MainHandler),
            (r"/story/([0-9]+)", StoryHandler, dict(db=db), "story"),
        ], debug=True)
        application.listen(8888)

    A rule is a tuple of a pattern for the whole path, a `RequestHandler` subclass (or its full
    dotted name, or another router), keyword arguments for its `initialize`, and a name for
    `reverse_url`; or a `URLSpec` or any other `Rule`. The first rule that matches wins.

    Settings are keywords, and kept in `settings`. Those with other names than these are the
    application's own.

    In general:

    - `autoreload`: restart the program when a source file changes (see `typhoon.autoreload`).
    - `compress_response`: compress pages and other text for clients that accept it. True, or a
      dict: `encodings` (those to use, the one to prefer first; by default `"zstd"` and `"br"`
      where they are installed, see the extra `compress`, and `"gzip"`), `level` (a number, or one
      for each encoding), `min_length` (in bytes, 1024), `content_types` (beside `text/*`).
    - `debug`: short for `autoreload=True`, `compiled_template_cache=False`,
      `static_hash_cache=False` and `serve_traceback=True`; each of them can be set differently.
    - `default_handler_class`, `default_handler_args`: who answers if no rule matches, instead of
      a 404, and the arguments of its `initialize`.
    - `log_function(handler)`: called at the end of each request in place of the access log.
    - `serve_traceback`: show exceptions on error pages, with source and variables. Only where no
      stranger can see it.
    - `ui_modules`, `ui_methods`: what templates can use as `{% module Name() %}` and `name()`; a
      module, a dict, or a list of them.

    Signing in and security:

    - `cookie_secret`: what signed and encrypted cookies are made with: a long random text, or a
      dict of several by numbers, of which `key_version` is that of new cookies.
    - `cross_origin_protection`: refuse requests that pages of other sites make, but for GET, HEAD
      and OPTIONS. `trusted_origins` is a list of those that may, as "https://example.com".
    - `login_url`: where `@authenticated` sends those who are not signed in.
    - `openid_connect`: a `typhoon.auth.OpenIDProvider`, or a dict of several by name.
    - `xsrf_cookies`: refuse requests without the token of the user's cookie, but for GET, HEAD
      and OPTIONS: see `RequestHandler.check_xsrf_cookie`. `xsrf_cookie_name` ("_xsrf"),
      `xsrf_cookie_version` (2) and `xsrf_cookie_kwargs` (keywords of `set_cookie`) say how that
      cookie is set.

    Templates:

    - `autoescape`: the name of the function for what `{{ }}` shows, `"xhtml_escape"` by default;
      None for no escaping.
    - `compiled_template_cache`: False to read templates anew for each request.
    - `template_path`: the folder of the templates; by default that of the handler's module.
    - `template_loader`: loads templates in place of a `typhoon.template.Loader`.
    - `template_whitespace`: "all", "single" or "oneline" (see `typhoon.template`).

    Static files:

    - `static_path`: the folder whose files are served below `static_url_prefix` ("/static/"),
      and as /favicon.ico and /robots.txt, by `static_handler_class` with `static_handler_args`.
    - `static_precompressed`: False to leave files such as `app.js.br` beside `app.js` alone.
    - `static_hash_cache`: False to compute the hashes in `static_url` anew for each request.

    WebSockets: `websocket_ping_interval`, `websocket_ping_timeout`, `websocket_max_message_size`,
    `websocket_max_write_buffer` and `websocket_slow_client_policy` (see
    `typhoon.websocket.WebSocketHandler`).

    A value of the wrong kind raises `TypeError` or `ValueError` that says what to write instead.
    """

    def __init__(
        self,
        handlers: _RuleList | None = None,
        default_host: str | None = None,
        transforms: list[type[OutputTransform]] | None = None,
        **settings: Any,
    ) -> None:
        self.transforms = list(transforms or [])
        self.default_host = default_host
        self.settings = settings
        complete_settings(settings)
        compress = settings.get("compress_response")
        if not compress and settings.get("gzip"):
            compress = {"encodings": ("gzip",)}  # an older setting, which says what it does
        if compress:
            from typhoon.web.compression import compression

            self.transforms.append(compression(compress))
        self._compresses = bool(compress)
        self.ui_modules = load_ui_modules(settings.get("ui_modules"))
        self.ui_methods = load_ui_methods(settings.get("ui_methods"))
        handlers = [*self._static_rules(), *(handlers or ())]
        self._tasks: set[asyncio.Task[None]] = set()
        self.wildcard_router = _HandlerRouter(self, handlers)
        self.default_router = _HandlerRouter(self, [Rule(AnyMatches(), self.wildcard_router)])
        if is_loop_running():
            self._serving()  # behind other routers, no server would say it

    def _serving(self) -> None:
        """An event loop begins to serve this application."""
        if self.settings.get("autoreload"):
            from typhoon import autoreload

            autoreload.start()

    def _static_rules(self) -> list[tuple[str, Any, dict[str, Any]]]:
        path = self.settings.get("static_path")
        if not path:
            return []
        from typhoon.web.files.static import StaticFileHandler

        handler = self.settings.setdefault("static_handler_class", StaticFileHandler)
        arguments = {**self.settings.get("static_handler_args", {}), "path": path}
        prefix = re.escape(self.settings.get("static_url_prefix", "/static/"))
        patterns = (prefix + r"(.*)", r"/(favicon\.ico)", r"/(robots\.txt)")
        return [(pattern, handler, arguments) for pattern in patterns]

    def listen(
        self,
        port: int,
        address: str | None = None,
        *,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = 128,
        flags: int | None = None,
        reuse_port: bool = False,
        **kwargs: Any,
    ) -> HTTPServer:
        """Serve this application on a port; the event loop has to be started, too.

        `address` is an IP, a host name, or None for all interfaces; the other named arguments are
        those of `TCPServer.listen`. Keywords go to `HTTPServer`. Returns the server.
        """
        if self.settings.get("gzip"):
            warn_of_gzip()
        server = HTTPServer(self, **kwargs)
        server.listen(port, address, family, backlog, flags, reuse_port)
        return server

    def add_handlers(self, host_pattern: str, host_handlers: _RuleList) -> None:
        """Add rules for hosts that match a pattern. They come before those for all hosts."""
        router = _HandlerRouter(self, host_handlers)
        matcher = HostMatches(host_pattern)
        rule = Rule(matcher, router)
        if host_pattern == ".*":
            # For all hosts, behind those that have been added before.
            self.default_router.add_rules([rule])
        else:
            # The rule for all hosts stays the last one.
            self.default_router.rules.insert(-1, rule)
        if self.default_host is not None:
            by_default = DefaultHostMatches(self, matcher.host_pattern)
            self.wildcard_router.add_rules([Rule(by_default, router)])

    def add_transform(self, transform_class: type[OutputTransform]) -> None:
        """Let this class change every response. `compress_response` comes behind all others."""
        self.transforms.insert(len(self.transforms) - self._compresses, transform_class)

    def reverse_url(self, name: str, *args: Any) -> str:
        """The URL of the rule with this name, `args` in place of its groups.

        `KeyError` if there is none.
        """
        url = self.default_router.reverse_url(name, *args)
        if url is None:
            raise KeyError(f"{name} not found in named urls")
        return url

    def log_request(self, handler: RequestHandler) -> None:
        """Write a request to the access log: an error from 500, a warning from 400, else info."""
        log_function = self.settings.get("log_function")
        if log_function is not None:
            log_function(handler)
            return
        status = handler._status_code
        if status < 400:
            if not access_log.isEnabledFor(INFO):
                return
            log = access_log.info
        elif status < 500:
            log = access_log.warning
        else:
            log = access_log.error
        milliseconds = 1000.0 * handler.request.request_time()
        log("%d %s %.2fms", status, handler._request_summary(), milliseconds)

    def __call__(self, request: httputil.HTTPServerRequest) -> None:
        """Answer a complete request: an application can stand where a function is asked for."""
        delegate, waiting = self._delegate(request)
        if waiting is None:
            delegate.finish()
        else:
            request.connection.hold(waiting, delegate.finish)

    # The way of a request, if nobody has changed it.

    def _direct_entry(self) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
        """What takes requests and heads without a delegate in between (see `HTTPServer`)."""
        for name in ("start_request", "find_handler", "get_handler_delegate"):
            if getattr(type(self), name) is not getattr(Application, name):
                return None
        dispatcher = _core.Dispatcher(self)

        def head_received(
            request: httputil.HTTPServerRequest,
        ) -> httputil.HTTPMessageDelegate | None:
            """Who takes the body of this request in pieces; None if it is wanted whole."""
            if dispatcher.find(request) is not None:
                return None
            delegate, waiting = self._delegate(request)
            if waiting is not None:
                request.connection.hold(waiting)
            return delegate

        return dispatcher, head_received

    def _delegate(
        self, request: httputil.HTTPServerRequest
    ) -> tuple[httputil.HTTPMessageDelegate, Awaitable[None] | None]:
        """The delegate that answers this request, told of its head, and what that waits for."""
        delegate = self.find_handler(request)
        start_line = httputil.RequestStartLine(request.method, request.uri, request.version)
        return delegate, delegate.headers_received(start_line, request.headers)

    # The way of a request through routers.

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate:
        """The delegate that answers this request."""
        delegate = self.default_router.find_handler(request)
        if delegate is not None:
            return delegate
        if self.settings.get("default_handler_class"):
            return self.get_handler_delegate(
                request,
                self.settings["default_handler_class"],
                self.settings.get("default_handler_args", {}),
            )
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 404})

    def get_handler_delegate(
        self,
        request: httputil.HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: Sequence[str | bytes | None] | None = None,
        path_kwargs: dict[str, str | bytes | None] | None = None,
    ) -> "_HandlerDelegate":
        """The delegate that lets a handler class answer this request."""
        # Routers of one's own may give parts of the path as they are, without unescaping them.
        args = [utf8(arg) for arg in path_args or ()]
        kwargs_of_path = {name: utf8(arg) for name, arg in (path_kwargs or {}).items()}
        return _HandlerDelegate(
            self, request, target_class, target_kwargs or {}, args, kwargs_of_path
        )


class _HandlerDelegate(httputil.HTTPMessageDelegate):
    """Collects a request for a handler, or streams it to the handler if it wants that."""

    def __init__(
        self,
        application: Application,
        request: httputil.HTTPServerRequest,
        handler_class: type[RequestHandler],
        handler_kwargs: dict[str, Any],
        path_args: list[bytes | None],
        path_kwargs: dict[str, bytes | None],
    ) -> None:
        self.application = application
        self.request = request
        self.handler_class = handler_class
        self.handler_kwargs = handler_kwargs
        self.path_args = path_args
        self.path_kwargs = path_kwargs
        self.stream_request_body = handler_class._stream_request_body
        self.chunks: list[bytes] = []
        self.handler: RequestHandler | None = None

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        if not self.stream_request_body:
            return None
        self.request._body_future = asyncio.get_running_loop().create_future()
        return self.execute()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if not self.stream_request_body:
            self.chunks.append(chunk)
            return None
        handler = self.handler
        if handler is None or handler._finished:
            return None
        try:
            waiting = handler.data_received(chunk)
        except Exception as error:
            handler._handle_request_exception(error)
            return None
        return waiting and self._receive(handler, waiting)

    async def _receive(self, handler: RequestHandler, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except Exception as error:
            handler._handle_request_exception(error)

    def finish(self) -> None:
        if self.stream_request_body:
            if not self.request._body_future.done():
                self.request._body_future.set_result(None)
            return
        if self.chunks:
            self.request.body = b"".join(self.chunks)
        self.execute()

    def on_connection_close(self) -> None:
        # The handler hears of it from the connection itself.
        self.chunks.clear()
        if self.stream_request_body and not self.request._body_future.done():
            self.request._body_future.set_exception(StreamClosedError())
            self.request._body_future.exception()

    def execute(self) -> Awaitable[None] | None:
        """Run the handler. A handler that streams gives what its body has to wait for."""
        handler = self.handler_class(self.application, self.request, **self.handler_kwargs)
        self.handler = handler
        handler._transforms = [make(self.request) for make in self.application.transforms]
        if self.stream_request_body:
            handler._prepared_future = asyncio.get_running_loop().create_future()
        handler._run(self.path_args, self.path_kwargs)
        if handler._finished:
            handler._let_body_come()
        return handler._prepared_future
