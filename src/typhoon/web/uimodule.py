"""UI modules: parts of pages that bring their own CSS and JavaScript."""

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from typhoon.escape import linkify
from typhoon.web.pageresources import Files, PageResources, Text, lines

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest
    from typhoon.locale import Locale
    from typhoon.util import ObjectDict
    from typhoon.web.handler import RequestHandler

UIMethod = Callable[..., Any]
"""A function of a handler and whatever else templates call it with."""

MODULES = "_tt_modules"
"""The name in a template's namespace under which `{% module Name(…) %}` looks for `Name`."""


class UIModule:
    """A part of pages that can be used again, called as `{% module Name(…) %}` in templates.

    Subclass it, define `render`, and name it in the application's setting `ui_modules`:

        class Entry(UIModule):
            def embedded_css(self):
                return ".entry { margin-bottom: 1em; }"

            def render(self, entry, show_comments=False):
                return self.render_string("entry.html", entry=entry, comments=show_comments)

    A page gets what the other methods return once, however often the module is on it: CSS and
    `html_head` before `</head>`, JavaScript and `html_body` before `</body>`. They are called
    when the page has been rendered, on the one instance that a request makes of each module.

    `handler` and `request` are those that the page is for.
    """

    _handler: "Callable[[], RequestHandler | None]"

    def __init__(self, handler: "RequestHandler") -> None:
        self.handler = handler

    @property
    def handler(self) -> "RequestHandler":
        """The handler that renders the page."""
        handler = self._handler()
        if handler is None:
            message = f"the request of {type(self).__name__} is over: keep its handler to use it"
            raise ReferenceError(message)
        return handler

    @handler.setter
    def handler(self, handler: "RequestHandler") -> None:
        self._handler = lambda: handler

    @property
    def request(self) -> "HTTPServerRequest":
        """The request that the page is the response to."""
        return self.handler.request

    @property
    def ui(self) -> "ObjectDict":
        """The application's UI methods, for this handler."""
        return self.handler.ui

    @property
    def locale(self) -> "Locale":
        """The locale of the request: see `RequestHandler.locale`."""
        return self.handler.locale

    @property
    def current_user(self) -> Any:
        """Who is signed in: see `RequestHandler.current_user`."""
        return self.handler.current_user

    def render(self, *args: Any, **kwargs: Any) -> str | bytes:
        """Override to return the HTML of this module; the arguments are those in the template."""
        raise NotImplementedError(f"{type(self).__name__} has to define render()")

    def embedded_javascript(self) -> Text:
        """Override to return JavaScript that is put into the page."""
        return None

    def javascript_files(self) -> Files:
        """Override to return the URLs of scripts; relative ones are below `static_path`."""
        return None

    def embedded_css(self) -> Text:
        """Override to return CSS that is put into the page."""
        return None

    def css_files(self) -> Files:
        """Override to return the URLs of style sheets; relative ones are below `static_path`."""
        return None

    def html_head(self) -> Text:
        """Override to return HTML for the end of the `<head>` element."""
        return None

    def html_body(self) -> Text:
        """Override to return HTML for the end of the `<body>` element."""
        return None

    def render_string(self, path: str, **kwargs: Any) -> bytes:
        """Render a template in the namespace of the page's: see `RequestHandler.render_string`."""
        return self.handler.render_string(path, **kwargs)


class TemplateModule(UIModule):
    """A template as a UI module: `{% module Template("entry.html", entry=entry) %}`.

    The template sees its keyword arguments and what all templates see, but not the names of the
    template that it stands in. It names its resources with a function that only such templates
    have: `{{ set_resources(embedded_css=".entry { margin-bottom: 1em; }") }}`. Its keywords are
    the names of the methods of `UIModule`.
    """

    def __init__(self, handler: "RequestHandler") -> None:
        super().__init__(handler)
        self._resources = PageResources()

    def render(self, path: str, **kwargs: Any) -> bytes:
        """Render the template at this path; it can call `set_resources`."""
        return self.render_string(path, set_resources=self._set_resources, **kwargs)

    def _set_resources(self, **resources: Any) -> str:
        self._resources.add(**resources)
        return ""  # what the template shows in this place

    def embedded_javascript(self) -> bytes | None:
        return lines(self._resources.embedded_javascript)

    def javascript_files(self) -> Iterable[str]:
        return self._resources.javascript_files

    def embedded_css(self) -> bytes | None:
        return lines(self._resources.embedded_css)

    def css_files(self) -> Iterable[str]:
        return self._resources.css_files

    def html_head(self) -> bytes | None:
        return lines(self._resources.html_head)

    def html_body(self) -> bytes | None:
        return lines(self._resources.html_body)


class _Linkify(UIModule):
    """`{% module linkify(text) %}`: the text with links, as HTML."""

    def render(self, text: str | bytes, **kwargs: Any) -> str:
        return linkify(text, **kwargs)


class _XSRFFormHTML(UIModule):
    """`{% module xsrf_form_html() %}`: the hidden field against forged requests."""

    def render(self) -> str:
        return self.handler.xsrf_form_html()


STANDARD_MODULES: dict[str, type[UIModule]] = {
    "Template": TemplateModule,
    "linkify": _Linkify,
    "xsrf_form_html": _XSRFFormHTML,
}
"""What `{% module … %}` finds in every application."""


class ModulesInUse:
    """The modules for the templates of one handler: an attribute for each.

    An attribute is the `render` of the one instance that the handler makes of a module.
    """

    def __init__(self, handler: Any) -> None:
        self.__handler = handler

    def __getattr__(self, name: str) -> Callable[..., str | bytes]:
        handler = self.__handler
        modules = handler._active_modules
        if modules is None:
            modules = handler._active_modules = {}
        module = modules.get(name)
        if module is None:
            known = handler.application.ui_modules
            if name not in known:
                raise AttributeError(
                    f"no UI module {name!r} in the application's setting ui_modules; "
                    f"there are: {', '.join(sorted(known))}"
                )
            module = modules[name] = known[name](handler)
            # The handler holds its modules: they do not hold it, or it would outlive its request.
            module._handler = weakref.ref(handler)
        render: Callable[..., str | bytes] = module.render
        self.__dict__[name] = render
        return render

    __getitem__ = __getattr__


def load_ui_modules(setting: Any) -> dict[str, type[UIModule]]:
    """The UI modules that the setting `ui_modules` names, and those that every application has.

    The setting is a Python module or a dict with subclasses of `UIModule`, or a list of these.
    `TypeError` if it is anything else.
    """
    modules = dict(STANDARD_MODULES)
    for namespace in _namespaces("ui_modules", setting):
        for name, value in namespace.items():
            if isinstance(value, type) and issubclass(value, UIModule):
                if inspect.iscoroutinefunction(value.render):
                    raise TypeError(
                        f"{value.__name__}.render() cannot be async, since templates wait for "
                        "nothing: await in the handler, and pass the result to the module"
                    )
                modules[name] = value
    return modules


def load_ui_methods(setting: Any) -> dict[str, UIMethod]:
    """The functions that the setting `ui_methods` names.

    The setting is a Python module or a dict with functions, or a list of these. Names that begin
    with an underscore or with a capital letter, as classes do, are left out. `TypeError` if it is
    anything else.
    """
    return {
        name: value
        for namespace in _namespaces("ui_methods", setting)
        for name, value in namespace.items()
        if callable(value) and not name.startswith("_") and not name[:1].isupper()
    }


def _namespaces(name: str, setting: Any) -> Iterable[Mapping[str, Any]]:
    match setting:
        case None:
            pass
        case ModuleType():
            yield vars(setting)
        case Mapping():
            yield setting
        case list() | tuple():
            for part in setting:
                yield from _namespaces(name, part)
        case _:
            raise TypeError(
                f"the setting {name} has to be a Python module, a dict, or a list of these, "
                f"not {setting!r}: write a dict such as {{'Name': …}}"
            )


def bound(methods: Mapping[str, UIMethod], handler: object) -> dict[str, UIMethod]:
    """The UI methods as templates call them: without the handler."""
    return {name: functools.partial(method, handler) for name, method in methods.items()}


def module_function(handler: object, name: str) -> Callable[..., str | bytes]:
    """The module as a function in a template's namespace, which makes it when it is called."""

    def render(*args: Any, **kwargs: Any) -> str | bytes:
        html: str | bytes = getattr(ModulesInUse(handler), name)(*args, **kwargs)
        return html

    return render
