"""Where templates come from."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from typhoon.template import BaseLoader, DictLoader, Loader, Template


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "templates-2").mkdir()
    (tmp_path / "templates-2" / "x.html").write_text("secret")
    root = tmp_path / "templates"
    (root / "sub").mkdir(parents=True)
    (root / "a.html").write_text("a {{ x }} é", encoding="utf-8")
    (root / "..b.html").write_text("b")
    (root / "sub" / "c.html").write_text("c {% include d.html %} {% include ../a.html %}")
    (root / "sub" / "d.html").write_text("d")
    return root


def test_files(root: Path) -> None:
    loader = Loader(str(root))
    assert loader.root == str(root)
    template = loader.load("a.html")
    assert template.generate(x="<") == "a &lt; é".encode()
    assert loader.load("a.html") is template
    assert loader.load("..b.html").generate() == b"b"
    assert loader.load("sub/c.html").generate(x=1) == "c d a 1 é".encode()
    assert sorted(loader.templates) == ["..b.html", "a.html", "sub/c.html", "sub/d.html"]
    assert loader.load("d.html", parent_path="sub/c.html").name == "sub/d.html"


def test_a_relative_root_stays_where_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    loader = Loader("templates")
    monkeypatch.chdir("/")
    assert loader.load("a.html").generate(x=1) == "a 1 é".encode()


def test_names_that_lead_through_the_root(root: Path) -> None:
    loader = Loader(str(root))
    assert loader.load("sub/../a.html") is loader.load("a.html")
    assert loader.load(str(root / "sub" / "d.html")) is loader.load("sub/d.html")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.html",
        "sub/../../secret.html",
        "/etc/passwd",
        "..",
        "sub/../..",
        "",
        ".",
        "../templates-2/x.html",
        "../templates",
    ],
)
def test_no_file_outside_of_the_root_is_read(root: Path, name: str) -> None:
    loader = Loader(str(root))
    with pytest.raises(ValueError, match="is outside of the loader's directory"):
        loader.load(name)
    absolute = str(root.parent / "secret.html")
    with pytest.raises(ValueError, match="is outside of the loader's directory"):
        loader.load(absolute)


def test_nor_by_a_template(root: Path) -> None:
    (root / "evil.html").write_text("\n{% include ../secret.html %}")
    (root / "sub" / "evil.html").write_text("{% extends '/etc/passwd' %}")
    for name in ("evil.html", "sub/evil.html"):
        with pytest.raises(ValueError, match="is outside of the loader's directory") as caught:
            Loader(str(root)).load(name)
        assert name in caught.value.__notes__[0]


def test_a_file_that_is_missing(root: Path) -> None:
    loader = Loader(str(root))
    with pytest.raises(FileNotFoundError, match=r"none\.html"):
        loader.load("none.html")
    assert not loader.templates
    (root / "none.html").write_text("now")
    assert loader.load("none.html").generate() == b"now"


def test_reset_reads_anew(root: Path) -> None:
    loader = Loader(str(root))
    loader.load("sub/d.html")
    (root / "sub" / "d.html").write_text("new")
    assert loader.load("sub/d.html").generate() == b"d"
    loader.reset()
    assert not loader.templates
    assert loader.load("sub/d.html").generate() == b"new"


def test_relative_names_in_a_dict() -> None:
    texts: dict[str, str | bytes] = {
        "a/1": "{% include 2 %}",
        "a/2": "{% include '../b/3' %}",
        "b/3": b"{% include /top %}",
        "/top": "{% include other %}",
        "other": "ok",
    }
    loader = DictLoader(texts)
    assert loader.dict is texts
    assert loader.load("a/1").generate() == b"ok"
    assert loader.load("../b/3", parent_path="a/1").name == "b/3"
    assert loader.load("other", parent_path="<string>").name == "other"
    with pytest.raises(KeyError):
        loader.load("2")


def test_settings() -> None:
    names = {"x": "<"}
    loader = DictLoader(
        {"t.html": "a \n {{ x }}"}, autoescape=None, namespace=names, whitespace="oneline"
    )
    assert (loader.autoescape, loader.namespace, loader.whitespace) == (None, names, "oneline")
    assert loader.load("t.html").generate() == b"a <"
    assert DictLoader({}).autoescape == "xhtml_escape"
    template = Template("a \n{{ x }}", loader=loader, autoescape="escape", whitespace="all")
    assert template.generate() == b"a \n&lt;"


def test_a_loader_of_ones_own() -> None:
    class Numbers(BaseLoader):
        def resolve_path(self, name: str, parent_path: str | None = None) -> str:
            return f"{parent_path or ''}{name}"

        def _create_template(self, name: str) -> Template:
            text = "{% include 1 %}" if len(name) < 3 else name
            return Template(text, name=name, loader=self)

    assert Numbers().load("1").generate() == b"111"
    for method in (lambda: BaseLoader().load("x"), lambda: BaseLoader()._create_template("x")):
        with pytest.raises(NotImplementedError):
            method()


def test_threads_share_a_template() -> None:
    class Counting(DictLoader):
        made = 0

        def _create_template(self, name: str) -> Template:
            Counting.made += 1
            return super()._create_template(name)

    loader = Counting({"t": "{% include s %}", "s": "{{ x }}"})
    with ThreadPoolExecutor(8) as threads:
        pages = threads.map(lambda x: loader.load("t").generate(x=x), range(100))
    assert list(pages) == [str(x).encode() for x in range(100)]
    assert Counting.made == 2


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need rights elsewhere")
def test_symbolic_links_are_followed(root: Path) -> None:
    (root / "link.html").symlink_to(root.parent / "secret.html")
    assert Loader(str(root)).load("link.html").generate() == b"secret"
