"""The typed face of the native core (`rust/src/python`)."""

__version__: str
