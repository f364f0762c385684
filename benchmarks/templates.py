"""The template engines: who takes part in rendering one page in process."""

from toolkit import NONE, Peer, Task

ENGINES = ("typhoon", "tornado", "jinja2", "mako", "minijinja")

TASKS = (
    Task(
        "template-page",
        "template",
        "page",
        "A page that extends another: 50 rows of 4 escaped values",
        "pages",
        tuple(Peer(engine, NONE, ("templates/render.py", engine), (engine,)) for engine in ENGINES),
    ),
)
