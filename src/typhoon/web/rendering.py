"""Pages from templates, with the UI modules on them."""

import functools
import os
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from typhoon.escape import utf8, xhtml_escape
from typhoon.util import ObjectDict
from typhoon.web.uimodule import MODULES, ModulesInUse, UIModule, bound, module_function

if TYPE_CHECKING:
    from asyncio import Future

    from typhoon.template import BaseLoader
    from typhoon.web.application import Application

_MAX_LOADERS = 256
"""Loaders that are kept: folders of templates, usually one."""

_OWN_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|/")  # RFC 3986 §3.1, §4.2

_HANDLER_NAMES: dict[str, Callable[[Any], Any]] = {
    "handler": lambda handler: handler,
    "request": attrgetter("request"),
    "current_user": attrgetter("current_user"),
    "locale": attrgetter("locale"),
    "_": attrgetter("locale.translate"),
    "pgettext": attrgetter("locale.pgettext"),
    "static_url": attrgetter("static_url"),
    "xsrf_form_html": attrgetter("xsrf_form_html"),
    "reverse_url": attrgetter("reverse_url"),
    MODULES: ModulesInUse,
}
"""What a template sees of its handler, and how to get it."""

_ENGINE_NAMES = frozenset(
    ("escape", "xhtml_escape", "url_escape", "json_encode", "squeeze", "linkify", "datetime")
)
"""What every template sees: functions that no UI module of that name hides."""

_SEES_ALL = frozenset(("globals", "eval", "exec", "locals", "vars", "dir"))
"""A template that uses one of these may use names that its code does not show."""


class RenderingMixin:
    """How a handler makes pages from templates."""

    if TYPE_CHECKING:
        application: Application
        _finished: bool

        def finish(self, chunk: Any = None) -> Future[None]: ...
        def static_url(self, path: str) -> str: ...

    _template_loaders: ClassVar[dict[Any, "BaseLoader"]] = {}
    _template_loader_lock: ClassVar[threading.Lock] = threading.Lock()

    _active_modules: dict[str, UIModule] | None = None
    _fresh_loaders: "set[BaseLoader] | None" = None

    def render(self, template_name: str, **kwargs: Any) -> "Future[None]":
        """End the request with a page made from a template.

        Keywords are names that the template sees. The resources of the UI modules on the page are
        put into it. Returns the same as `finish`.
        """
        if self._finished:
            raise RuntimeError("Cannot render() after finish()")
        page = self.render_string(template_name, **kwargs)
        if self._active_modules:
            page = self._with_resources(page, self._active_modules)
            self._active_modules = None
        return self.finish(page)

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        """The text made from a template, in UTF-8. Keywords are names that the template sees.

        Without the setting `template_path` templates are looked for in the folder of the file
        that calls this.
        """
        loader = self._template_loader(self.get_template_path() or _calling_directory())
        if self.application.settings.get("compiled_template_cache", True):
            return self._generate(loader.load(template_name), kwargs)
        # The files as they are now. Modules on the page are renderings within this one.
        fresh = self._fresh_loaders
        is_outermost = fresh is None
        if fresh is None:
            fresh = self._fresh_loaders = set()
        if loader not in fresh:
            fresh.add(loader)
            loader.reset()
        try:
            return self._generate(loader.load(template_name), kwargs)
        finally:
            if is_outermost:
                self._fresh_loaders = None

    def _generate(self, template: Any, names: dict[str, Any]) -> bytes:
        """Call the template with these names, and those of its namespace that it uses."""
        used: frozenset[str] | None = getattr(template, "global_names", None)
        own = type(self).get_template_namespace is RenderingMixin.get_template_namespace
        own_names = _handler_names_in(used) if used is not None and own else None
        if used is None or own_names is None:
            text: bytes = template.generate(**{**self.get_template_namespace(), **names})
            return text
        application = self.application
        if methods := application.ui_methods:
            for name in used:
                if name in methods and name not in names:
                    names[name] = functools.partial(methods[name], self)
        for name in own_names:
            if name not in names:
                names[name] = _HANDLER_NAMES[name](self)
        if modules := application.ui_modules:
            for name in used:
                if name in modules and name not in names and name not in _ENGINE_NAMES:
                    names[name] = module_function(self, name)
        text = template.generate(**names)
        return text

    def get_template_namespace(self) -> dict[str, Any]:
        """Override to add names that all templates of this handler see, or to change them.

        Returns those of the handler: `handler`, `request`, `current_user`, `locale`, `_`,
        `pgettext`, `static_url`, `xsrf_form_html`, `reverse_url`, and the application's
        UI methods and modules. As long as nobody overrides it, a template's rendering evaluates
        only those that the template uses.
        """
        namespace: dict[str, Any] = {
            name: module_function(self, name)
            for name in self.application.ui_modules
            if name not in _ENGINE_NAMES
        }
        for name, value in _HANDLER_NAMES.items():
            namespace[name] = value(self)
        namespace.update(bound(self.application.ui_methods, self))
        return namespace

    @property
    def ui(self) -> ObjectDict:
        """The application's UI methods, for this handler: `handler.ui.name(…)`."""
        ui = ObjectDict(bound(self.application.ui_methods, self))
        ui[MODULES] = ModulesInUse(self)
        return ui

    # Where templates come from.

    def get_template_path(self) -> str | None:
        """Override to choose the folder of the templates: the setting `template_path`.

        None for the folder of the file that calls `render`.
        """
        path: str | None = self.application.settings.get("template_path")
        return path

    def create_template_loader(self, template_path: str) -> "BaseLoader":
        """Override to load templates from elsewhere, or with another language.

        Returns a `typhoon.template.Loader` with the settings `autoescape` and
        `template_whitespace`, unless the setting `template_loader` gives one. What it returns is
        kept for all requests with this path. All that it needs is a method `load(name)` that
        gives objects with a method `generate(**names)`, and a method `reset()` which forgets
        what has been loaded.
        """
        settings = self.application.settings
        given: BaseLoader | None = settings.get("template_loader")
        if given is not None:
            return given
        from typhoon.template import Loader

        options: dict[str, Any] = {}
        if "autoescape" in settings:
            options["autoescape"] = settings["autoescape"]
        if settings.get("template_whitespace") is not None:
            options["whitespace"] = settings["template_whitespace"]
        return Loader(template_path, **options)

    def _template_loader(self, path: str) -> "BaseLoader":
        # Whoever overrides the method may look at the handler's class and at the settings.
        key = (path, type(self).create_template_loader, weakref.ref(self.application))
        loaders = self._template_loaders
        loader = loaders.get(key)
        if loader is None:
            with self._template_loader_lock:
                loader = loaders.get(key)
                if loader is None:
                    while len(loaders) >= _MAX_LOADERS:
                        del loaders[next(iter(loaders))]
                    loader = loaders[key] = self.create_template_loader(path)
        return loader

    # How resources of UI modules get into the page.

    def _with_resources(self, page: bytes, modules: dict[str, UIModule]) -> bytes:
        from typhoon.web.pageresources import PageResources, insert

        resources = PageResources()
        for module in modules.values():
            resources.add(
                embedded_javascript=module.embedded_javascript(),
                javascript_files=module.javascript_files(),
                embedded_css=module.embedded_css(),
                css_files=module.css_files(),
                html_head=module.html_head(),
                html_body=module.html_body(),
            )
        head: list[bytes] = []
        body: list[bytes] = []
        if resources.css_files:
            head.append(utf8(self.render_linked_css(resources.css_files)))
        if resources.embedded_css:
            head.append(self.render_embed_css(resources.embedded_css))
        head += resources.html_head
        if resources.javascript_files:
            body.append(utf8(self.render_linked_js(resources.javascript_files)))
        if resources.embedded_javascript:
            body.append(self.render_embed_js(resources.embedded_javascript))
        body += resources.html_body
        return insert(page, b"".join(p + b"\n" for p in head), b"".join(p + b"\n" for p in body))

    def render_linked_js(self, js_files: Iterable[str]) -> str:
        """Override to change the HTML that asks for scripts, given by their URLs."""
        return "".join(
            f'<script src="{xhtml_escape(url)}" type="text/javascript"></script>'
            for url in self._urls(js_files)
        )

    def render_embed_js(self, js_embed: Iterable[bytes]) -> bytes:
        """Override to change the HTML around the modules' own JavaScript."""
        code = b"\n".join(js_embed)
        return b'<script type="text/javascript">\n//<![CDATA[\n' + code + b"\n//]]>\n</script>"

    def render_linked_css(self, css_files: Iterable[str]) -> str:
        """Override to change the HTML that asks for style sheets, given by their URLs."""
        return "".join(
            f'<link href="{xhtml_escape(url)}" type="text/css" rel="stylesheet"/>'
            for url in self._urls(css_files)
        )

    def render_embed_css(self, css_embed: Iterable[bytes]) -> bytes:
        """Override to change the HTML around the modules' own CSS."""
        return b'<style type="text/css">\n' + b"\n".join(css_embed) + b"\n</style>"

    def _urls(self, files: Iterable[str]) -> list[str]:
        """Each once, and those that are relative as `static_url` gives them."""
        return [
            file if is_absolute(file) else self.static_url(file) for file in dict.fromkeys(files)
        ]


@functools.lru_cache(maxsize=1024)
def _handler_names_in(used: frozenset[str]) -> tuple[str, ...] | None:
    """Which of the handler's names are among these; None if all are to be seen."""
    if not _SEES_ALL.isdisjoint(used):
        return None
    return tuple(name for name in _HANDLER_NAMES if name in used)


def is_absolute(path: str) -> bool:
    """Whether the URL of a resource is taken as it is: it has a scheme, or starts with a slash.

    Others are below the setting `static_path`.
    """
    return _OWN_URL.match(path) is not None


def _calling_directory() -> str:
    """The folder of the file whose code calls into the framework, be it through a template."""
    frame = sys._getframe(2)
    while frame.f_back and _is_between(frame.f_globals):
        frame = frame.f_back
    return _folder_of(frame.f_code.co_filename)


@functools.lru_cache(maxsize=_MAX_LOADERS)
def _folder_of(file: str) -> str:
    return os.path.dirname(file)


def _is_between(names: dict[str, Any]) -> bool:
    """Whether code with these global names is the framework's, or that of a template."""
    return MODULES in names or str(names.get("__name__")).startswith("typhoon.")
