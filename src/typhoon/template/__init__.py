"""Templates."""

from typhoon.template.errors import ParseError
from typhoon.template.loader import BaseLoader, DictLoader, Loader
from typhoon.template.source import TemplatePosition, template_position
from typhoon.template.template import Template
from typhoon.template.whitespace import filter_whitespace

__all__ = [
    "BaseLoader",
    "DictLoader",
    "Loader",
    "ParseError",
    "Template",
    "TemplatePosition",
    "filter_whitespace",
    "template_position",
]
