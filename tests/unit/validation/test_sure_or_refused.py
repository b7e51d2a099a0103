"""What a careful reader is sure of is read; where a part may be lost, or is not the answer, nothing is."""

from typing import Any

import pytest

from output_validation import extract

TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}
N: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
LIST_OF_N: dict[str, Any] = {"type": "array", "items": N}
V: dict[str, Any] = {"type": "object", "properties": {"v": LIST_OF_N}, "required": ["v"]}
AB: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    "required": ["a"],
}
TITLED: dict[str, Any] = {"type": "object", "properties": {"title": {"type": "string"}, "n": {"type": "integer"}}}
DAY: dict[str, Any] = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}
MOMENT: dict[str, Any] = {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}


def with_list(name: str) -> dict[str, Any]:
    item = {"type": "object", "properties": {"id": {"type": "integer"}, name: TEXTS}, "required": [name]}
    return {"type": "array", "items": item}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        # A bare item or member between two strings is none of theirs
        ('["apple", banana, "kiwi"]', TEXTS),
        ("['a', b, 'c']", TEXTS),
        ('["a", Call mum, "b"]', TEXTS),
        ('["a",b,"c"]', TEXTS),
        ('{"a": "x", b = "z"}', AB),
        ('{"a": "x", b "y"}', AB),
        # Nor is the comma of a string whose closing quote is missing
        ('{\n "title": "Bridge,\n "n": 5\n}', TITLED),
        ('{"a": "x, "b": "y"}', AB),
        # What follows a bracket that closed too much is a part of the value
        ('{"v":[{"n":1}},\n {"n":2}]}', V),
        ('{"v":[{"n":1}}, {"n":2}]}', V),
        ("[[1,2]],\n[3,4]]", {"type": "array", "items": NUMBERS}),
        # A list in an item is not the list of items
        ('[{"id": "x7", "data": []}]', with_list("data")),
        # A later list counts, whole or cut off
        ("[\n 8,\n 43\n]\n\n[7, 42]", NUMBERS),
        ("Draft: [1, 2]\nFinal answer: [3, 4", NUMBERS),
        ("```json\n[1, 2]\n```\nFinal:\n```json\n[3, 4", NUMBERS),
        ('["a"]\n\nFinal answer: [', TEXTS),
        ('For example: {"n": 86}\nFinal answer: {"score": 5}', N),
        # Citations and check boxes
        ("According to [1], there are no results.", NUMBERS),
        ("No data was found [3].", TEXTS),
        ('("see [1]", "ok", "fine")', TEXTS),
        ("- [x] done\n- [ ] todo", TEXTS),
        # Two lists, of which words do not say which is meant
        ("The answer is [1, 2] since these match. Rejected: [3]", NUMBERS),
        ("Relevant: [1, 2], irrelevant: [3]", NUMBERS),
        ("Drop [1, 2]; keep [3].", NUMBERS),
        ("As [1] and [2] say, there is nothing.", NUMBERS),
        # Words that are no list
        ('{"refusal": "I cannot help with that."}', TEXTS),
        ('{"message": "No tags found."}', TEXTS),
        # Values that are taken back, or are no answer
        ('{"n": 1}\n\nScratch that, n = 2.', N),
        ('{"n": 1}\n\nCorrection: n is 2.', N),
        ('{"n": 1}\n\nSorry, I meant n = 2.', N),
        ('{"n": 1}\n\nActually it\'s 2.', N),
        ('{"n": 1}\n\nThe above is wrong.', N),
        ('{"n": 1}\n\nPlease ignore the JSON above.', N),
        ('Input: {"n": 1}\nOutput: I cannot help with that.', N),
        ('ERROR: could not parse {"n": 1}', N),
        ('{"wrong_answer":{"n":1}}', N),
        ('{"answer":{"n":1},"note":"this is wrong"}', N),
        ('{"success":"no","result":{"n":1}}', N),
        ('{"code":500,"message":"Internal error","data":{"n":1}}', N),
        # Values of which some were left out
        ('["a", /* and so on */]', TEXTS),
        ('["a" // and others\n]', TEXTS),
        ('{"n": 1 // etc\n}', N),
        ('["a", "b"] (and 3 more)', TEXTS),
        ('[{"n":1}, {"n":2}]\n... and 5 more', LIST_OF_N),
        ('data: {"a":"q"\n\ndata: [DONE]', AB),
        # Marks of a block quote in a string, and a day that is another weekday's
        ('> ```json\n> {"a": "line one\n> line two"}\n> ```', AB),
        ('{"day": "Sunday, Jan 5, 2026"}', DAY),
    ],
)
def test_what_may_be_a_part_or_no_answer_is_refused(text: str, schema: dict[str, Any]) -> None:
    assert not extract(text, schema).ok


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ('[{"id": "7", "data": []}]', with_list("data"), [{"id": 7, "data": []}]),
        ('{"data": [{"id": 7, "data": []}]}', with_list("data"), [{"id": 7, "data": []}]),
        ('{"tags": []}\n{"tags": []}', with_list("tags"), [{"tags": []}, {"tags": []}]),
        ("Draft: [\n 1,\n 2\n]\nFinal answer: [3, 4]", NUMBERS, [3, 4]),
        ('Input: {"x": 1}\nOutput: [4, 2, 3]', NUMBERS, [4, 2, 3]),
        ('```json\n{"a":1}\n```\nThe answer:\n```json\n[5, 1]\n```', NUMBERS, [5, 1]),
        ("The answer is [3].", NUMBERS, [3]),
        ('{"n": 1}\n\nUpdated:\n\n{"n": 2}', N, {"n": 2}),
        ('{"n": 1}\n\nOops. Let me fix that:\n{"n": 2}', N, {"n": 2}),
        ("print(json.dumps([2]))", NUMBERS, [2]),
        ("The list is [1, 2, 3]. Source: [4]", NUMBERS, [1, 2, 3]),
        ("The answer is [ ] because none match.", NUMBERS, []),
        ("Die Antwort lautet [1].", NUMBERS, [1]),
        ("I choose [2].", NUMBERS, [2]),
        ("1. [1]", NUMBERS, [1]),
        ("[1, 2, 3] and 2 others were excluded because they do not match.", NUMBERS, [1, 2, 3]),
        *(
            (text, N | {"additionalProperties": True}, {"n": 5})
            for text in (
                '{\n // continued from page 1\n "n": 5}',
                '{"n": 5 // repeat customer\n}',
                '{"n": 5 /* others excluded */}',
                '{"data":{"n":5},"comment":"Error margin 2%"}',
                '{"data":{"n":5},"comment":"This invoice is incomplete"}',
                '{"counter_party":{"n":5}}',
                '{"n": 5}\n\nCorrection: none needed.',
                '{"n": 5}\n\nOn second thought, this is right.',
                '{"n": 5}\n\nNo, wait for the confirmation before booking.',
                'Note that the VAT number is invalid:\n\n{"n": 5}',
                'Files that we failed to process:\n{"n": 5}',
                '{"n": 5} as in [1',
                '{"n": 5}\n\n[',
            )
        ),
        ("- [4]", NUMBERS, [4]),
        ('["a"] [1]\n\n[1] Smith, 2020', TEXTS, ["a"]),
        ('Action: final\nAction Input: {"n": 1}', N, {"n": 1}),
        *(
            (f"```json\n{inside}\n```", N, {"n": 1})
            for inside in (
                '({"n": 1})',
                'submit({"n": 1})',
                '`{"n": 1}`',
                '**{"n": 1}**',
                'Answer: {"n": 1}',
                'json {"n": 1}',
                'export default {"n": 1};',
                'module.exports = {"n": 1}',
            )
        ),
        ('{"name":"f","arguments":"[\\"y\\"]"}', TEXTS, ["y"]),
        ('<answer>{"n": 1}}</answer>', N, {"n": 1}),
        ('**{"n": 1}}**', N, {"n": 1}),
        ("[\n true\n false\n]", {"type": "array", "items": {"type": "boolean"}}, [True, False]),
        ("[TRUE, FALSE]", {"type": "array", "items": {"type": "boolean"}}, [True, False]),
        ('["paper"\uff0c12]', {"type": "array"}, ["paper", 12]),
        ('{„a“: „x“, „b”: „y"}', AB, {"a": "x", "b": "y"}),
        ('{"a":\u3000"x"\u3000,\u3000"b": "y"}', AB, {"a": "x", "b": "y"}),
        ('{"at": 2026-01-05T10:00:00Z}', MOMENT, {"at": "2026-01-05T10:00:00Z"}),
        ('{"day": "Monday, Jan 5, 2026"}', DAY, {"day": "2026-01-05"}),
        ('{"a": "size 5\\", width 6\\" at most"}', AB, {"a": 'size 5", width 6" at most'}),
        ('{"a": "he said "yes", twice"}', AB, {"a": 'he said "yes", twice'}),
        ('{"n": 1, // fees, tax etc.\n}', N, {"n": 1}),
        ('{"answer": {"n": 1}, "explanation": "the wrong item was sent"}', N, {"n": 1}),
    ],
)
def test_what_can_only_be_meant_in_one_way_is_read(text: str, schema: dict[str, Any], value: Any) -> None:
    extraction = extract(text, schema)

    assert extraction.ok, extraction.reason
    assert extraction.value == value
