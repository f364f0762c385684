r"""Templates: HTML, or any other text, with Python in it.

    from typhoon.template import Loader, Template

    Template("<p>Hello {{ name }}!</p>").generate(name="<Ben>")     # b"<p>Hello &lt;Ben&gt;!</p>"
    Loader("templates").load("page.html").generate(items=["a", "b"])

A template becomes a Python function, once. There are no limits to what an expression may do, so
templates are as trusted as the program is; what they show is not, and is escaped unless they say
otherwise. In a handler, `RequestHandler.render` does all of this.

    {# base.html #}
    <html>
      <head><title>{% block title %}News{% end %}</title></head>
      <body>{% block body %}{% end %}</body>
    </html>

    {# page.html #}
    {% extends "base.html" %}
    {% block title %}{{ user }}: {% super %}{% end %}
    {% block body %}
      {% if not items %}<p>Nothing new.</p>{% end %}
      {% for item in items %}
        <p>{{ item }}</p>
      {% end %}
    {% end %}

``{{ expression }}``
    Shows the value of any Python expression, escaped. A str and bytes (in UTF-8) are text, of
    everything else it is what `str` returns. It may span lines and have comments.
``{% directive %}``
    One of those below.
``{# comment #}``
    Is left out.
``{{!``, ``{%!`` and ``{#!``
    Stand for ``{{``, ``{%`` and ``{#``. Of three or more braces in a row, the last two open a tag.

Control
=======

``{% if condition %} {% elif condition %} {% else %} {% end %}``,
``{% for variable in expression %} {% else %} {% end %}``,
``{% while condition %} {% else %} {% end %}``,
``{% try %} {% except exception as name %} {% else %} {% finally %} {% end %}``
    The statements of Python. Every block ends with ``{% end %}``.
``{% break %}``, ``{% continue %}``
    Those of Python, within ``for`` and ``while``.
``{% set x = expression %}``
    Assigns to a variable of the template.
``{% import module %}``, ``{% from module import name %}``
    Those of Python.

Output
======

``{% raw expression %}``
    Shows a value as it is: for HTML that is safe.
``{% autoescape function %}``
    Names the function that escapes all expressions of this file, wherever it stands in the file;
    ``None`` for no escaping. The function is called with bytes and returns bytes or str. The
    default, `xhtml_escape`, makes text safe in HTML and in attributes within quotes, but not in
    scripts or style sheets.
``{% apply function %} {% end %}``
    Calls a function with the output of the block, as bytes, and shows what it returns. The
    variables that are set in the block are its own.
``{% module expression %}``
    Shows a UI module (`typhoon.web.UIModule`): ``{% module Entry(entry) %}``.
``{% whitespace mode %}``
    Says what becomes of white space from here to the end of the file: see `filter_whitespace`.
    Within ``<pre>`` and ``<textarea>`` it is always kept.
``{% comment text %}``
    Is left out. The text cannot hold ``%}``.

Files
=====

``{% extends name %}``
    Shows another template with the blocks of this one in it. All else in this file is ignored.
``{% block name %} {% end %}``
    A part that templates which extend this one can replace. Where they do not, it stays.
``{% super %}``
    Within a block: shows the block that this one replaces, that of the template that is extended.
``{% include name %}``
    Puts another template here, as if its text stood here, with the same variables; but what it
    says about ``autoescape`` and ``whitespace`` is its own, and ``extends`` means nothing in it.
    To include with variables of its own, write ``{% module Template(name, x=1) %}``.

Names may stand in quotes. They are relative to the template in which they stand. See `Loader` for
which files they can reach.

Names
=====

A template sees the keywords of `Template.generate`, the `namespace` of its loader, and
``escape`` and ``xhtml_escape``, ``url_escape``, ``json_encode``, ``squeeze`` and ``linkify`` (of
`typhoon.escape`) and the module ``datetime``. `RequestHandler.render` adds the handler's. Names
that start with ``_tt_`` are reserved.

Errors
======

A template that cannot be compiled raises `ParseError`, with its name and the line. The traceback of
one that fails shows its line, and the way to it through ``include`` and ``extends``:

    File "sub.html [compiled template]", line 3, in _tt_execute
        _tt_emit('<b>', (1 / count), '</b>')  # sub.html:4 (via base.html:1)

`template_position` finds the same for a frame.
"""

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
