"""What models do to JSON, each as a function from a value or a text to a faulty one. Seeded.

Faults of values come first (the model wrote another value), then those of the text, then what stands around it.
A fault returns None where it does not apply.
"""

import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from bench.validation.instances import make_like

Json = Any


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be answered, under which schema."""

    schema: dict[str, Any]
    value: Json


ValueFault = Callable[[random.Random, Case, Json], Json | None]
TextFault = Callable[[random.Random, Case, str], str | None]


def _leaves(value: Json, schema: Json, found: list[tuple[Any, Any, Json]]) -> list[tuple[Any, Any, Json]]:
    """Return (container, key, schema) of every leaf and array, so that it can be replaced in place."""
    if isinstance(value, dict):
        for key, member in value.items():
            part = schema.get("properties", {}).get(key)
            if part is None:
                continue  # an earlier fault changed it
            found.append((value, key, part))
            _leaves(member, part, found)
    elif isinstance(value, list):
        for item in value:
            _leaves(item, schema.get("items", {}), found)
    return found


def _change(
    rng: random.Random, case: Case, value: Json, read: Callable[[Json, Json], Json | None], *, several: bool = True
) -> Json | None:
    changed = json.loads(json.dumps(value))
    places = [(c, k, read(c[k], s)) for c, k, s in _leaves(changed, case.schema, []) if k in c]
    places = [place for place in places if place[2] is not None]
    if not places:
        return None
    for container, key, new in places if several and rng.random() < 0.5 else [rng.choice(places)]:
        container[key] = new
    return changed


def number_strings(rng: random.Random, case: Case, value: Json) -> Json | None:
    def read(v: Json, _: Json) -> Json | None:
        return json.dumps(v) if isinstance(v, int | float) and not isinstance(v, bool) else None

    return _change(rng, case, value, read)


def boolean_words(rng: random.Random, case: Case, value: Json) -> Json | None:
    words = rng.choice([("true", "false"), ("True", "False"), ("yes", "no"), ("Yes", "No")])
    return _change(rng, case, value, lambda v, _: words[not v] if isinstance(v, bool) else None)


def enum_case(rng: random.Random, case: Case, value: Json) -> Json | None:
    changes: list[Callable[[str], str]] = [
        str.upper,
        str.title,
        lambda s: s.replace("-", "_").upper(),
        lambda s: s.replace("-", " "),
    ]
    change = rng.choice(changes)

    def read(v: Json, s: Json) -> Json | None:
        return change(v) if "enum" in s and isinstance(v, str) and change(v) != v else None

    return _change(rng, case, value, read)


def single_for_array(rng: random.Random, case: Case, value: Json) -> Json | None:
    return _change(rng, case, value, lambda v, _: v[0] if isinstance(v, list) and len(v) == 1 else None)


def array_for_single(rng: random.Random, case: Case, value: Json) -> Json | None:
    return _change(rng, case, value, lambda v, _: [v] if isinstance(v, str | int) else None, several=False)


def date_words(rng: random.Random, case: Case, value: Json) -> Json | None:
    style = rng.randrange(3)
    months = [date(2024, month, 1).strftime("%B") for month in range(1, 13)]

    def read(v: Json, s: Json) -> Json | None:
        if s.get("format") != "date" or not isinstance(v, str) or v.count("-") != 2:
            return None
        year, month, day = v.split("-")
        return [f"{year}/{month}/{day}", f"{months[int(month) - 1]} {int(day)}, {year}", f"{v}T00:00:00Z"][style]

    return _change(rng, case, value, read)


def key_case(rng: random.Random, case: Case, value: Json) -> Json | None:
    if not isinstance(value, dict):
        return None
    required = case.schema.get("required", ())
    style = rng.choice([str.title, lambda k: re.sub(r"_(.)", lambda m: m.group(1).upper(), k), str.upper])
    changed = {style(key) if key in required else key: member for key, member in value.items()}
    return changed if changed.keys() != value.keys() else None


def wrapped(rng: random.Random, _: Case, value: Json) -> Json | None:
    name = rng.choice(["result", "data", "response", "output", "answer", "json", "ticket"])
    return {name: value} if rng.random() < 0.8 else {"status": "ok", "result": value}


def tool_call(rng: random.Random, _: Case, value: Json) -> Json | None:
    calls: list[Json] = [
        {"name": "submit", "arguments": json.dumps(value)},
        {"type": "function", "function": {"name": "submit", "arguments": value}},
        [{"type": "tool_use", "id": "t1", "name": "submit", "input": value}],
    ]
    return rng.choice(calls)


def inner_encoded(rng: random.Random, case: Case, value: Json) -> Json | None:
    return _change(rng, case, value, lambda v, _: json.dumps(v) if isinstance(v, dict) else None, several=False)


VALUE_FAULTS: Final[dict[str, ValueFault]] = {
    "number-strings": number_strings,
    "boolean-words": boolean_words,
    "enum-case": enum_case,
    "single-for-array": single_for_array,
    "array-for-single": array_for_single,
    "date-words": date_words,
    "inner-encoded": inner_encoded,
    "key-case": key_case,
    "wrapped": wrapped,
    "tool-call": tool_call,
}

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def _outside(text: str, change: Callable[[str], str]) -> str:
    """Return the text with all that is in no string changed."""
    parts, position = [], 0
    for found in _STRING.finditer(text):
        parts += [change(text[position : found.start()]), found.group()]
        position = found.end()
    return "".join((*parts, change(text[position:])))


def trailing_comma(rng: random.Random, _: Case, text: str) -> str | None:
    changed = _outside(text, lambda s: re.sub(r"(\s*[}\]])", r",\1", s, count=1) if rng.random() < 0.6 else s)
    return changed if changed != text else text[:-1] + "," + text[-1]


def missing_comma(rng: random.Random, _: Case, text: str) -> str | None:
    spots: list[int] = []
    position = 0
    for found in _STRING.finditer(text + '""'):
        spots += [position + m.start() for m in re.finditer(r",(?=\s)", text[position : found.start()])]
        position = found.end()
    if not spots:
        return None
    at = rng.choice(spots)
    return text[:at] + text[at + 1 :]


def single_quotes(_: random.Random, __: Case, text: str) -> str | None:
    return _STRING.sub(lambda m: "'" + m.group()[1:-1].replace('\\"', '"').replace("'", "\\'") + "'", text)


def smart_quotes(_: random.Random, __: Case, text: str) -> str | None:
    return _STRING.sub(lambda m: f"“{m.group()[1:-1]}”", text)


def unquoted_keys(_: random.Random, __: Case, text: str) -> str | None:
    return re.sub(r'"([A-Za-z_]+)"(\s*:)', r"\1\2", text)


def half_quoted_keys(rng: random.Random, _: Case, text: str) -> str | None:
    keys = list(re.finditer(r'"([a-z_]+)":', text))
    if not keys:
        return None
    key = rng.choice(keys)
    return text[: key.start()] + rng.choice([f'{key[1]}":', f'"{key[1]}:', f'""{key[1]}"":']) + text[key.end() :]


def missing_colon(rng: random.Random, _: Case, text: str) -> str | None:
    keys = list(re.finditer(r'"[a-z_]+"(:)(?= )', text))
    if not keys:
        return None
    key = rng.choice(keys)
    return text[: key.start(1)] + text[key.end(1) :]


def arrows(_: random.Random, __: Case, text: str) -> str | None:
    return _outside(text, lambda s: s.replace(":", " =>"))


def triple_quotes(rng: random.Random, _: Case, text: str) -> str | None:
    strings = list(re.finditer(r'(?<=: )"[^"\\]{2,}"(?=[,\s}])', text))
    if not strings:
        return None
    found = rng.choice(strings)
    return f'{text[: found.start()]}""{found.group()}""{text[found.end() :]}'


def odd_numbers(rng: random.Random, _: Case, text: str) -> str | None:
    spellings: list[Callable[[str], str]] = [lambda n: f"+{n}", lambda n: hex(int(n)), lambda n: f"{n}."]
    spell = rng.choice(spellings)
    changed = _outside(
        text, lambda s: re.sub(r"(?<![\d.-])[1-9]\d*(?=[,\s}\]])", lambda m: spell(m.group()), s, count=1)
    )
    return changed if changed != text else None


def needless_escapes(_: random.Random, __: Case, text: str) -> str | None:
    changed = _STRING.sub(lambda m: m.group() if "\\" in m.group() else re.sub("(['$%&])", r"\\\1", m.group()), text)
    return changed if changed != text else None


def html_escaped(_: random.Random, __: Case, text: str) -> str | None:
    return html.escape(text)


def comments(rng: random.Random, _: Case, text: str) -> str | None:
    note = rng.choice([' // it\'s the "total"\n', " /* as asked, {see} */ ", " # don't know\n"])
    return _outside(text, lambda s: s.replace(",", "," + note, 1) if rng.random() < 0.4 else s)


def python_literals(_: random.Random, __: Case, text: str) -> str | None:
    return repr(json.loads(text))


def raw_newlines(_: random.Random, __: Case, text: str) -> str | None:
    return text.replace("\\n", "\n") if "\\n" in text else None


def inner_quotes(_: random.Random, __: Case, text: str) -> str | None:
    return text.replace('\\"', '"') if '\\"' in text else None


def nan(_: random.Random, __: Case, text: str) -> str | None:
    return _outside(text, lambda s: s.replace("null", "NaN")) if ": null" in text else None


def lost_closers(rng: random.Random, _: Case, text: str) -> str | None:
    stripped = text.rstrip("]} \n")
    if stripped == text or not re.search(r'["el]\Z', stripped):
        return None
    return stripped if rng.random() < 0.5 else text[:-1].rstrip()


def cut_off(rng: random.Random, _: Case, text: str) -> str | None:
    return text[: rng.randint(len(text) // 3, len(text) - 2)]


def closer_missing_in_fence(_: random.Random, __: Case, text: str) -> str | None:
    return f"```json\n{text[:-1].rstrip()}\n```"


def extra_closer(_: random.Random, __: Case, text: str) -> str | None:
    return text + "}"


def escaped(_: random.Random, __: Case, text: str) -> str | None:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def doubly_encoded(_: random.Random, __: Case, text: str) -> str | None:
    return json.dumps(text)


def bom(_: random.Random, __: Case, text: str) -> str | None:
    return "\ufeff" + text


def control_chars(rng: random.Random, _: Case, text: str) -> str | None:
    return _outside(text, lambda s: s.replace(" ", rng.choice(["\x00", "\xa0", "\u200b", "\x0b"]), 1))


def duplicate_equal(_: random.Random, __: Case, text: str) -> str | None:
    value = json.loads(text)
    if not isinstance(value, dict):
        return None
    key = next(iter(value))
    return f"{{{json.dumps(key)}: {json.dumps(value[key])}, {text[1:]}"


TEXT_FAULTS: Final[dict[str, TextFault]] = {
    "trailing-comma": trailing_comma,
    "missing-comma": missing_comma,
    "single-quotes": single_quotes,
    "smart-quotes": smart_quotes,
    "unquoted-keys": unquoted_keys,
    "half-quoted-keys": half_quoted_keys,
    "missing-colon": missing_colon,
    "arrows": arrows,
    "triple-quotes": triple_quotes,
    "odd-numbers": odd_numbers,
    "needless-escapes": needless_escapes,
    "html-escaped": html_escaped,
    "comments": comments,
    "python-literals": python_literals,
    "raw-newlines": raw_newlines,
    "inner-quotes": inner_quotes,
    "nan": nan,
    "lost-closers": lost_closers,
    "cut-off": cut_off,
    "closer-missing-in-fence": closer_missing_in_fence,
    "extra-closer": extra_closer,
    "escaped": escaped,
    "doubly-encoded": doubly_encoded,
    "bom": bom,
    "control-chars": control_chars,
    "duplicate-equal": duplicate_equal,
}


def _decoy(rng: random.Random, case: Case) -> str:
    return json.dumps(make_like(rng, case.schema, case.value), ensure_ascii=False)


def fenced(rng: random.Random, _: Case, text: str) -> str | None:
    return f"```{rng.choice(['json', '', 'JSON'])}\n{text}\n```"


def prose(rng: random.Random, _: Case, text: str) -> str | None:
    before = rng.choice(["Sure! Here is the JSON:\n", "The ticket [1] says it's {urgent}. Result: ", "Answer:\n\n"])
    after = rng.choice(["", '\n\nLet me know if that\'s "right".', "\nI set [2] aside."])
    return before + text + after


def fenced_in_prose(rng: random.Random, case: Case, text: str) -> str | None:
    return prose(rng, case, f"\n```json\n{text}\n```\n")


def thoughts(rng: random.Random, case: Case, text: str) -> str | None:
    tag = rng.choice(["think", "thinking", "reasoning"])
    return f"<{tag}>\nMaybe {_decoy(rng, case)}? No, it's not {{that}}.\n</{tag}>\n{text}"


def example_before(rng: random.Random, case: Case, text: str) -> str | None:
    words = rng.choice(["For example, an answer could be", "The format is like this:", "My first draft was wrong:"])
    return f"{words}\n{_decoy(rng, case)}\n\nFinal answer:\n{text}"


def several_fences(rng: random.Random, case: Case, text: str) -> str | None:
    other = json.dumps(case.schema) if rng.random() < 0.5 else '{"hint": "see above", "steps": [1, 2]}'
    return f"The schema:\n```json\n{other}\n```\nThe answer:\n```json\n{text}\n```"


def repeated(_: random.Random, __: Case, text: str) -> str | None:
    return f"{text}\n\n{text}"


AROUND_FAULTS: Final[dict[str, TextFault]] = {
    "fenced": fenced,
    "prose": prose,
    "fenced-in-prose": fenced_in_prose,
    "thoughts": thoughts,
    "example-before": example_before,
    "several-fences": several_fences,
    "repeated": repeated,
}

LOSSY_FAULTS: Final = frozenset({"cut-off"})
"""What was lost cannot come back: here a refusal is right and counted apart."""
