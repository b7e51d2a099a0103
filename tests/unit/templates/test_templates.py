"""Templates render what prompts need, refuse what prompts must not do, and stay within their budgets."""

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RenderError, TemplateError
from common.templates import Limits, compile_template


def render(source: str, **variables: Any) -> str:
    return compile_template(source, "prompt.j2").render(variables)


def failure(source: str, **variables: Any) -> RenderError:
    template = compile_template(source, "prompt.j2")
    with pytest.raises(RenderError) as caught:
        template.render(variables)
    return caught.value


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ input.name }}", "Ünïcode"),
        ("{{ input.items }}", "[1,2]"),
        ("{{ input.d.items() | list }}", '[["k","ü"]]'),
        ("{% for k, v in input.d | items %}{{ k }}={{ v }};{% endfor %}", "k=ü;"),
        ("{{ input.d | tojson }}", '{"k":"ü"}'),
        ("{{ input.big | tojson }} {{ input.big }}", f"{10**30} {10**30}"),
        ("{{ input.none }}{{ input.yes }}", "nulltrue"),
        ("{{ '<b>' | tojson }}{{ '<b>' }}", '"<b>"<b>'),
        ("{{ input.missing | default('none given') }}", "none given"),
        ("{% if input.missing is defined %}a{% else %}b{% endif %}", "b"),
        (
            "{% for i in [1, 2, 3] if i > 1 %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}",
            "1/2,2/2",
        ),
        ("{% for n in input.tree recursive %}{{ n.n }}{% if n.c %}({{ loop(n.c) }}){% endif %}{% endfor %}", "1(2)3"),
        ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m('a') }}{{ m(1) }}", "[a][1]"),
        ("{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "10"),
        ("{{ input.name.upper() }} {{ 'a,b'.split(',') | join('+') }}", "ÜNÏCODE a+b"),
        ("{{ 'aXb' | replace('X', '--') }}{{ 'a' ~ 1 ~ none }}", "a--ba1null"),
        ("{{ 'abcdef'[:3] }}{{ input.items[-1] }}{{ 2 ** 10 }}{{ 7 % 4 }}", "abc210243"),
        ("a\n{% if true %}\nb\n{% endif %}\n  {# note #}\nc\n", "a\nb\nc"),
    ],
)
def test_what_prompts_need_is_there(source: str, text: str) -> None:
    given_input = {
        "name": "Ünïcode",
        "items": [1, 2],
        "d": {"k": "ü"},
        "big": 10**30,
        "none": None,
        "yes": True,
        "tree": [{"n": 1, "c": [{"n": 2, "c": []}]}, {"n": 3, "c": None}],
    }

    assert render(source, input=given_input) == text


def test_an_undefined_variable_is_named_with_its_line() -> None:
    error = failure("first\nsecond\n{{ nope }}")

    assert error.code == "undefined_variable"
    assert "prompt.j2, line 3" in error.detail
    assert "'nope'" in error.detail


def test_an_undefined_member_is_named_with_its_line() -> None:
    error = failure("{% for i in [1] %}\n  {{ input.tittle }}\n{% endfor %}", input={"title": "x"})

    assert "line 2" in error.detail
    assert "'tittle'" in error.detail


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ input.__init__ }}",
        "{{ input._secret }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{{ ''|attr('__class__') }}",
        "{{ 'x'|format(1) }}",
        "{{ 'x'|unknown }}",
        "{{ 'x' is callable }}",
        "{{ a",
        "{% for %}",
    ],
)
def test_forbidden_or_faulty_templates_do_not_compile(source: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("\n" + source, "prompt.j2")

    assert "prompt.j2, line 2" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ 1e999 }}", "line 1: a number is too large"),
        ("\n{% if input.n < 1e999 %}a{% endif %}", "line 2: a number is too large"),
        ("{{ 1e999 - 1e999 }}", "a number is too large"),
        (r"{{ '\ud83d' }}", "half of a character"),
        ("\ud83d", "UTF-8"),
        ("{{ " + "1" * 5000 + " }}", "limit"),
        ("{{ dict(a=1, a=2) }}", "repeated"),
        ("{% for a in [1] %}" * 30 + "{% endfor %}" * 30, "nested"),
        ("{{ (1).x or 2 }}", "no attribute 'x'"),
        ("{{ ''.index and 1 }}", "unsafe"),
    ],
)
def test_what_python_could_not_run_or_nobody_could_send_does_not_compile(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        compile_template(source, "prompt.j2")


@pytest.mark.parametrize(
    "source",
    [
        "{{ '1e400' | float }}",
        "{{ '1e400' | float | int }}",
        "{{ '1e400' | float ~ 'x' }}",
        "{{ 1e308 * 10 }}",
        "{{ 1e308 * 10 - 1e308 * 10 }}",
        "{{ (1e308 * 10) | tojson }}",
        "{{ [1e308 * 10] }}",
        "{{ {'a': [none, 1e308 * 10]} | tojson }}",
        "{{ '' ~ [1e308 * 10 - 1e308 * 10] }}",
        "{{ 2.0 ** 5000 }}",
        "{{ 'abc' | truncate(-1) }}",
    ],
)
def test_no_python_error_leaves_a_render(source: str) -> None:
    assert failure(source).code == "render_failed"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''['__class__'] }}",
        "{{ ''['__class__']['__mro__'] }}",
        "{{ [input] | map(attribute='__class__') | list }}",
        "{{ input['__class__'] }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ input.l.append(3) }}",
        "{{ input.pop('l') }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ self }}",
        "{{ range }}",
        "{{ input.get }}",
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{{ input() }}",
    ],
)
def test_the_sandbox_holds_when_rendering(source: str) -> None:
    state = {"l": [1, 2]}

    failure(source, input=state)

    assert state == {"l": [1, 2]}


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(90000) %}0123456789012345{% endfor %}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aaaa') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{{ ([1] * 90000) | join('x' * 90000) }}",
        "{{ ('x' * 90000) | replace('x', 'y' * 90000) }}",
        "{{ ('x\n' * 9000) | indent(90000) }}",
        "{% for a in input.deep recursive %}{{ loop(a) }}{% endfor %}",
        "{% set l = range(100000) | list %}{% for i in range(90000) %}{{ 'a' in l }}{% endfor %}",
        "{% set l = range(100000) | list %}{% for i in range(90000) if 'a' not in l %}{% endfor %}",
        "{% set t = 'a' * 2000000 %}{% for i in range(90000) %}{{ 'b' in t }}{% endfor %}",
        "{% set t = 'a' * 2000000 %}{% for i in range(90000) %}{{ t.find('b') }}{% endfor %}",
        "{{ input.rows | select('in', input.rows2) | list }}",
        "{{ ([none] * 9000) | map('default', input.rows, true) | select('eq', input.rows2) | list }}",
        "{% for i in range(90000) %}{{ input.rows == input.rows2 }}{% endfor %}",
        "{% for i in range(90000) %}{{ 'a' in input.rows[0].values() or 1 in input.rows | map('list') }}{% endfor %}",
        "{% for i in range(9000) %}{{ 'a' in input.text[1:] }}{% endfor %}",
        "{% for i in range(90000) %}{{ 'a' in range(100000) }}{% endfor %}",
        "{{ ([none] * 9000) | map('default', input.text, true) | map('upper') | list | length }}",
        "{{ ([none] * 9000) | map('default', input.rows, true) | map('list') | list | length }}",
        "{% for i in range(9000) %}{% if input.text | lower == 'a' %}{% endif %}{% endfor %}",
        "{% for i in range(9000) %}{% if input.text.title() == 'a' %}{% endif %}{% endfor %}",
        "{% for i in range(90000) %}{{ input.text | wordcount }}{% endfor %}",
        "{{ 1 | round(10000000) }}",
        "{{ 1 | round(-10000000, 'floor') }}",
    ],
)
def test_a_budget_stops_what_grows(source: str) -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]

    rows = [{f"k{n}": n for n in range(20)} for _ in range(3000)]
    given_input = {"deep": deep, "rows": rows, "rows2": [row | {"k19": "x"} for row in rows], "text": "a" * 20_000}
    started = process_time()

    error = failure(source, input=given_input)

    assert error.code == "render_budget"
    assert process_time() - started < 8
    assert len(error.detail) < 300


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        (
            "{{ 'b' in ['a', 'b'] }} {{ 'b' not in ['a'] }} {{ 1 in range(3) }} {{ 'k' in {'k': 1} }}",
            "True True True True",
        ),
        ("{{ 'bc' in 'abc' }} {{ 'ca' not in 'abc' and not 'x' in 'abc' }} {{ 1 in [1] == true }}", "True True False"),
        ("{{ [1] == [1.0] }} {{ {'a': 1} != {'a': 2} }} {{ 1 == 1 == 1 }} {{ none == false }}", "True True True False"),
        ("{{ [1, 2] | select('ne', 1) | list }} {{ [[1]] | select('==', [1]) | first }}", "[2] [1]"),
        (
            "{{ 1 in [[1]] | map('first') }} {{ [1] in {'a': [1]}.values() }} {{ 'b' in {'a': 1}.keys() }}",
            "True True False",
        ),
        ("{{ ['b', 'a'] | map('upper') | sort | join }} {{ 'one two-three' | wordcount }}", "AB 3"),
        ("{{ 2.345 | round(2) }} {{ 2.5 | round }} {{ 2.341 | round(2, 'ceil') }}", "2.35 2.0 2.35"),
    ],
)
def test_what_is_counted_gives_what_it_gave(source: str, rendered: str) -> None:
    assert render(source).lower() == rendered.lower()


def test_limits_are_the_callers() -> None:
    template = compile_template("{% for i in range(11) %}x{% endfor %}", "p", limits=Limits(iterations=10))

    with pytest.raises(RenderError):
        template.render({})


def test_a_template_renders_again_after_a_failure() -> None:
    template = compile_template("{{ input.a }}", "p")
    with pytest.raises(RenderError):
        template.render({"input": {}})

    assert template.render({"input": {"a": 1}}) == "1"


def test_it_tells_which_variables_it_reads() -> None:
    source = (
        "{% for i in input.l %}{{ i ~ output_schema }}{% endfor %}{% if input.x %}{% set y = 1 %}{{ y }}{% endif %}"
    )

    assert compile_template(source, "p").variables == {"input", "output_schema"}


@given(st.text())
def test_a_value_is_never_read_as_a_template(text: str) -> None:
    assert render("{{ input }}", input=text) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_tojson_is_json(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return

    assert json.loads(render("{{ input | tojson }}", input=value)) == value


@given(st.text("{}%#a.'|()[]_ \n", max_size=40))
def test_no_source_does_more_than_be_refused(source: str) -> None:
    try:
        render(source, a={"b": 1})
    except (TemplateError, RenderError) as error:
        assert str(error)  # noqa: PT017  # most sources are refused, each in its own words
