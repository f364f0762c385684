"""The application setting `gzip`, as `compress_response` was once called."""

import warnings


def warn_of_gzip() -> None:
    """Say it when an application with this setting starts to listen."""
    warnings.warn(
        "the setting gzip is deprecated: write compress_response=True",
        DeprecationWarning,
        stacklevel=3,
    )
