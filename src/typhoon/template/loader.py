"""Where templates come from."""

import os
import posixpath
import threading
from collections.abc import Mapping
from typing import Any

from typhoon.template.errors import NestingError
from typhoon.template.template import DEFAULT_AUTOESCAPE, Template

MAX_LOADING = 50
"""Templates that lead to each other. Each takes some of Python's stack."""


class BaseLoader:
    """Finds templates by their names and keeps them compiled.

    Templates that extend or include others need one. It may be used from several threads.

    :param autoescape: the name of the function that expressions are escaped with, or None for none.
    :param namespace: names that every template sees.
    :param whitespace: the mode of `filter_whitespace`; None decides by the names of the templates.

    :ivar templates: the templates that are loaded, by name.
    :ivar lock: is held while templates are loaded.

    A loader of one's own defines `resolve_path` and ``_create_template(name)``, which returns a
    `Template` or raises an exception.
    """

    autoescape: str | None
    namespace: dict[str, Any]
    whitespace: str | None
    templates: dict[str, Template]
    lock: threading.RLock

    def __init__(
        self,
        autoescape: str | None = DEFAULT_AUTOESCAPE,
        namespace: dict[str, Any] | None = None,
        whitespace: str | None = None,
    ) -> None:
        self.autoescape = autoescape
        self.namespace = namespace or {}
        self.whitespace = whitespace
        self.templates = {}
        self.lock = threading.RLock()
        self._loading: list[str] = []
        """The templates that are being compiled; each wants the next one."""

    def reset(self) -> None:
        """Forget the templates that are loaded, so that each is read anew when it is wanted."""
        with self.lock:
            self.templates = {}

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        """The name by which a template is kept.

        :param parent_path: the name of the template that asks for it, to which `name` is relative.
        """
        raise NotImplementedError

    def load(self, name: str, parent_path: str | None = None) -> Template:
        """The template of this name, compiled.

        :param parent_path: as in `resolve_path`.
        :raises ParseError: if it cannot be compiled.
        :raises Exception: if there is none: what the loader at hand says.
        """
        name = self.resolve_path(name, parent_path=parent_path)
        template = self.templates.get(name)
        if template is not None:
            return template
        with self.lock:
            if name not in self.templates:
                self.templates[name] = self._create(name)
            return self.templates[name]

    def _create(self, name: str) -> Template:
        """Compile a template, and with it those that it extends and includes."""
        if name in self._loading:
            circle = [*self._loading[self._loading.index(name) :], name]
            raise NestingError(f"Templates lead back to themselves: {' → '.join(circle)}")
        if len(self._loading) >= MAX_LOADING:
            raise NestingError(f"More than {MAX_LOADING} templates extend or include each other")
        self._loading.append(name)
        try:
            return self._create_template(name)
        finally:
            self._loading.pop()

    def _create_template(self, name: str) -> Template:
        raise NotImplementedError


class Loader(BaseLoader):
    """Loads templates from a directory and what is below it.

    Names have ``/`` between their parts. A template names others relative to its own directory. No
    file outside of `root_directory` is read, whatever ``..`` or absolute path a name has; symbolic
    links in it are followed, though.

    :param root_directory: the directory.
    :param kwargs: those of `BaseLoader`.

    :ivar root: the absolute path of the directory.
    """

    root: str

    def __init__(self, root_directory: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = os.path.abspath(root_directory)
        self._inside = os.path.join(self.root, "")

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        """The path of a template below the root.

        :raises ValueError: if it is not below the root.
        """
        if parent_path is None and name in self.templates:
            return name  # It is such a name already.
        name = _relative(name, parent_path)
        # Most names are plain; the others become the path that they stand for.
        if ".." in name or os.path.isabs(name):
            return self._path(name)[len(self._inside) :].replace(os.sep, "/")
        return name

    def _create_template(self, name: str) -> Template:
        with open(self._path(name), "rb") as file:
            return Template(file.read(), name=name, loader=self)

    def _path(self, name: str) -> str:
        path = os.path.abspath(os.path.join(self.root, name))
        if not path.startswith(self._inside):
            raise ValueError(
                f"template {name!r} is outside of the loader's directory {self.root!r}: move it "
                "there, or use a Loader for a directory above both"
            )
        return path


class DictLoader(BaseLoader):
    """Loads templates from a dict: their texts by their names.

    Names work like those of `Loader`.

    :param kwargs: those of `BaseLoader`.

    :ivar dict: the texts.
    """

    dict: Mapping[str, str | bytes]

    def __init__(self, dict: Mapping[str, str | bytes], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dict = dict

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:
        """The key of a template."""
        return _relative(name, parent_path)

    def _create_template(self, name: str) -> Template:
        return Template(self.dict[name], name=name, loader=self)


def _relative(name: str, parent_path: str | None) -> str:
    """A name that stands in a template, seen from the root."""
    if not parent_path or parent_path.startswith(("<", "/")) or name.startswith("/"):
        return name
    return posixpath.normpath(posixpath.join(posixpath.dirname(parent_path), name))
