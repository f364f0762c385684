"""The settings of an application: what `debug` stands for, and what each of them has to be."""

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from typhoon.web.origins import check_trusted_origins

DEBUG = {
    "autoreload": True,
    "compiled_template_cache": False,
    "static_hash_cache": False,
    "serve_traceback": True,
}
"""What `debug=True` sets, unless the application says otherwise."""

_PATH = (str, os.PathLike, list, tuple)
"""Handlers and loaders of an application's own may take several folders."""

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "autoescape": ((str,), 'the name of a function such as "xhtml_escape", or None'),
    "cookie_secret": ((str, bytes, Mapping), "a long random string that is kept secret"),
    "default_handler_args": ((Mapping,), "a dict of arguments for the handler's initialize"),
    "default_handler_class": ((type,), "a subclass of RequestHandler"),
    "key_version": ((int,), "the version of the key in cookie_secret that signs"),
    "login_url": ((str,), 'the address of the page to sign in on, such as "/login"'),
    "static_handler_args": ((Mapping,), "a dict of arguments for the handler's initialize"),
    "static_handler_class": ((type,), "a subclass of StaticFileHandler"),
    "static_path": (_PATH, "the path of a folder"),
    "static_url_prefix": ((str,), 'the beginning of addresses, such as "/static/"'),
    "template_path": (_PATH, "the path of a folder"),
    "ui_methods": ((ModuleType, Mapping, list, tuple), "a module, a dict or a list of them"),
    "ui_modules": ((ModuleType, Mapping, list, tuple), "a module, a dict or a list of them"),
    "websocket_max_message_size": ((int,), "a number of bytes"),
    "websocket_max_write_buffer": ((int,), "a number of bytes"),
    "websocket_ping_interval": ((int, float), "a number of seconds"),
    "websocket_ping_timeout": ((int, float), "a number of seconds"),
    "xsrf_cookie_kwargs": ((Mapping,), 'a dict of arguments for set_cookie, as {"secure": True}'),
    "xsrf_cookie_name": ((str,), 'the name of a cookie, such as "_xsrf"'),
}
"""What a setting is made of, and how to say it. None is let through: it is not set."""

_CHOICES: dict[str, tuple[object, ...]] = {
    "template_whitespace": ("all", "single", "oneline"),
    "websocket_slow_client_policy": ("close", "skip"),
    "xsrf_cookie_version": (1, 2),
}

_COMMAND = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"


def complete_settings(settings: dict[str, Any]) -> None:
    """Check the settings, and add those that `debug` stands for.

    Settings with other names belong to the application. `TypeError` or `ValueError`, with what to
    write instead, for values that cannot be right.
    """
    for name, value in settings.items():
        if name in _TYPES and value is not None:
            types, description = _TYPES[name]
            if not isinstance(value, types):
                # Without the value if it may be a secret: this lands in logs.
                found = type(value).__name__ if name == "cookie_secret" else _named(value)
                raise TypeError(f"The setting {name} is {description}, not {found}")
    for name, choices in _CHOICES.items():
        value = settings.get(name)
        if value is not None and value not in choices:
            known = ", ".join(map(repr, choices))
            raise ValueError(f"The setting {name} is one of {known}, not {value!r:.60}")
    log_function = settings.get("log_function")
    if log_function is not None and not callable(log_function):
        raise TypeError(
            f"The setting log_function is a function that takes the handler at the end of each "
            f"request, not {_named(log_function)}"
        )
    loader = settings.get("template_loader")
    if loader is not None and not callable(getattr(loader, "load", None)):
        raise TypeError(
            "The setting template_loader is an object such as "
            f'typhoon.template.Loader("templates"), not {_named(loader)}'
        )
    _check_secret(settings.get("cookie_secret"), settings.get("key_version"))
    if settings.get("trusted_origins") is not None:
        check_trusted_origins(settings["trusted_origins"])
    if "static_handler_class" not in settings:
        _check_folder("static_path", settings.get("static_path"))
    _check_folder("template_path", settings.get("template_path"))
    if settings.get("debug"):
        for name, value in DEBUG.items():
            settings.setdefault(name, value)


def _named(value: object) -> str:
    return f"{type(value).__name__} ({value!r:.60})" if not callable(value) else f"{value!r:.60}"


def _check_secret(
    secret: str | bytes | Mapping[int, str | bytes] | None, key_version: int | None
) -> None:
    if secret is None:
        return
    if isinstance(secret, Mapping):
        for version, value in secret.items():
            if not isinstance(version, int) or not isinstance(value, str | bytes):
                raise TypeError(
                    'The setting cookie_secret is one secret or a dict such as {1: "…", 2: "…"}: '
                    "integers as versions of the key, with their secrets"
                )
    if not secret or (isinstance(secret, Mapping) and not all(secret.values())):
        raise ValueError(
            f"The setting cookie_secret is empty, so anyone could forge signed cookies: leave it "
            f"out, or make a secret with {_COMMAND}"
        )
    if isinstance(secret, Mapping) and key_version is not None and key_version not in secret:
        known = ", ".join(map(repr, secret))
        raise ValueError(
            f"The setting key_version is the number of one of the secrets in cookie_secret "
            f"({known}), not {key_version!r}"
        )


def _check_folder(name: str, path: object) -> None:
    # One that is missing may be made later; a file will never become a folder.
    if isinstance(path, str | os.PathLike) and os.path.isfile(path):
        raise ValueError(f"The setting {name} is a folder, but {os.fspath(path)!r} is a file")
