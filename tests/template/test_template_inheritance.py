"""`extends`, `block`, `super` and `include`."""

from typing import Any

import pytest

from typhoon.template import DictLoader, ParseError, Template


def render(templates: dict[str, str], name: str, **names: Any) -> str:
    return DictLoader(templates).load(name).generate(**names).decode()


BASE = "<{% block head %}H{% end %}|{% block 'body' %}B{% block inner %}I{% end %}{% end %}>"


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        ("", "<H|BI>"),
        ("lost {% set x = 1/0 %} too", "<H|BI>"),
        ("{% block head %}h{% end %}", "<h|BI>"),
        ("{% block body %}b{% end %}", "<H|b>"),
        ("{% block inner %}i{% end %}", "<H|Bi>"),
        ('{% block "body" %}b{% block inner %}i{% end %}{% end %}', "<H|bi>"),
        ("{% block body %}{% end %}", "<H|>"),
        ("{% block other %}o{% end %}", "<H|BI>"),
        ("{% block head %}1{% end %}{% block head %}2{% end %}", "<2|BI>"),
        ("{% block head %}[{% super %}]{% end %}", "<[H]|BI>"),
        ("{% block head %}{% super %}{% super %}{% end %}", "<HH|BI>"),
        ("{% block body %}{% super %}!{% end %}{% block inner %}i{% super %}{% end %}", "<H|BiI!>"),
        ("{% if 0 %}{% block head %}h{% end %}{% end %}", "<h|BI>"),
    ],
)
def test_blocks(child: str, expected: str) -> None:
    assert render({"base": BASE, "t": "{% extends base %}" + child}, "t") == expected
    assert render({"base": BASE, "t": "{% extends 'base' %}" + child}, "t") == expected


def test_super_goes_up_a_chain() -> None:
    templates = {
        "a": "{% block x %}a{% end %}",
        "b": "{% extends a %}{% block x %}b{% super %}{% end %}",
        "c": "{% extends b %}",
        "d": "{% extends c %}{% block x %}d{% super %}{% end %}",
    }
    assert [render(templates, name) for name in "abcd"] == ["a", "ba", "ba", "dba"]


def test_super_sees_the_loop_around_and_can_be_applied() -> None:
    templates = {
        "base": "{% for i in range(3) %}{% block x %}{{ i }}{% end %}{% end %}",
        "t": "{% extends base %}{% block x %}{% apply f %}<{% super %}{% end %}{% end %}",
    }
    assert render(templates, "t", f=lambda b: b + b">") == "<0><1><2>"


def test_super_keeps_the_policy_of_escaping() -> None:
    templates = {
        "base": "{% autoescape None %}{% block x %}{{ v }}{% end %}",
        "t": "{% extends base %}{% block x %}{{ v }}{% super %}{{ v }}{% end %}",
    }
    assert render(templates, "t", v="<") == "&lt;<&lt;"


def test_include_sees_and_sets_local_names() -> None:
    templates = {
        "t": "{% set x = 1 %}{% include sub %}{{ x }}{% for y in 'ab' %}{% include sub %}{% end %}",
        "sub": "[{{ x }}{% set x = x + 1 %}]",
    }
    assert render(templates, "t") == "[1]2[2][3]"


def test_include_keeps_its_policy_of_escaping() -> None:
    templates = {
        "t": "{{ v }}{% include 'raw' %}{{ v }}",
        "raw": "{% autoescape None %}{{ v }}{% include 'plain' %}",
        "plain": "{{ v }}",
    }
    assert render(templates, "t", v="<") == "&lt;<&lt;&lt;"


def test_blocks_of_an_included_template_can_be_replaced() -> None:
    templates = {
        "base": "{% include part %}",
        "part": "{% block x %}part{% end %}",
        "t": "{% extends base %}{% block x %}t{% super %}{% end %}",
    }
    assert render(templates, "t") == "tpart"


def test_an_included_template_is_taken_as_it_stands() -> None:
    templates = {
        "base": "base {% block x %}{% end %}",
        "page": "{% extends base %}page {% block x %}x{% end %}",
        "t": "{% include page %}",
    }
    assert render(templates, "t") == "page x"


def test_the_same_template_twice() -> None:
    templates = {"t": "{% include s %}{% include s %}", "s": "{% apply f %}s{% end %}"}
    assert render(templates, "t", f=bytes.upper) == "SS"


@pytest.mark.parametrize("word", ["include", "extends"])
def test_a_loader_is_needed(word: str) -> None:
    with pytest.raises(ParseError, match=r"'x' cannot be found without a loader.* at <string>:2"):
        Template(f"\n{{% {word} x %}}")


@pytest.mark.parametrize("word", ["include", "extends"])
def test_a_circle_is_named(word: str) -> None:
    templates = {"a": f"\n{{% {word} b %}}", "b": f"{{% {word} c %}}", "c": f"\n\n{{% {word} b %}}"}
    with pytest.raises(ParseError, match="lead back to themselves: b → c → b at c:3"):
        DictLoader(templates).load("a")


def test_a_template_that_is_missing_is_named_with_its_place() -> None:
    with pytest.raises(KeyError) as caught:
        DictLoader({"a": "\n{% include b %}"}).load("a")
    assert caught.value.__notes__ == ["'b' is wanted at a:2"]


def test_templates_that_lead_to_too_many_others() -> None:
    templates = {f"t{n}": f"{{% include t{n + 1} %}}" for n in range(200)}
    with pytest.raises(ParseError, match=r"More than 50 templates .* at t49:1"):
        DictLoader(templates).load("t0")
    chain = {f"t{n}": f"{{% include t{n + 1} %}}" for n in range(49)} | {"t49": "end"}
    assert render(chain, "t0") == "end"


def test_templates_that_double_again_and_again() -> None:
    templates = {f"t{n}": f"{{% include t{n + 1} %}}" * 2 for n in range(30)} | {"t30": ""}
    with pytest.raises(ParseError, match="More than 10,000 templates and blocks"):
        DictLoader(templates).load("t0")


def test_blocks_that_double_again_and_again() -> None:
    word = "{% block x %}{% super %}{% super %}{% end %}"
    templates = {f"t{n}": f"{{% extends t{n + 1} %}}{word}" for n in range(30)}
    with pytest.raises(ParseError, match="More than 10,000 templates and blocks"):
        DictLoader(templates | {"t30": "{% block x %}{% end %}"}).load("t0")


def test_blocks_that_are_within_each_other() -> None:
    templates = {
        "base": "{% block a %}{% block b %}{% end %}{% end %}",
        "t": "{% extends base %}{% block b %}{% block a %}{% super %}{% end %}{% end %}",
    }
    with pytest.raises(ParseError, match="nested more than 90 deep"):
        DictLoader(templates).load("t")


def test_a_template_is_loaded_again_after_an_error() -> None:
    templates = {"t": "{% include s %}", "s": "{{"}
    loader = DictLoader(templates)
    with pytest.raises(ParseError, match="s:1"):
        loader.load("t")
    templates["s"] = "s"
    assert loader.load("t").generate() == b"s"
