"""Pages from templates, with the UI modules on them."""


class RenderingMixin:
    """How a handler makes pages from templates."""
