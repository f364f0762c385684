"""Attributes of cookies that are written in capitals, as `HttpOnly=True`."""

import warnings


def lowercase(key: str) -> str:
    """The keyword of `set_cookie` for this attribute."""
    modern = key.lower().replace("-", "_")
    warnings.warn(
        f"the argument {key} of set_cookie() is deprecated: write {modern}",
        DeprecationWarning,
        stacklevel=4,
    )
    return modern
