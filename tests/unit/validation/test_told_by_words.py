"""What the words around a value say of it: an example, a draft, a part, wrong. Also what they do not say."""

from typing import Any

import pytest

from output_validation import extract
from tests.unit.validation.schemas import fenced

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
AL = {"name": "Al", "age": 3}
VALUE = '{"name": "Al", "age": 3}'
ITEM = VALUE
NOBODY = '{"error": "no person found"}'
LIST: dict[str, Any] = {"type": "array", "items": PERSON}
TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    "words",
    [
        "Wait, that's not right.",
        "Sorry, the above is wrong.",
        "Hmm, on second thought the age should be 4.",
        "Actually, the age is 4.",
        "Oops, the age should be 4, not 3.",
        "I made a mistake: the age is 4.",
        "Note: the age should actually be 4.",
        "That was wrong.",
        "Let me fix that:",
        "Here is the corrected version:",
        "My apologies, the name is Bo.",
        "Please fill in the values.",
        "The age is wrong, it should be 4.",
        "That JSON is incorrect.",
        "This JSON is incomplete.",
        "These values are placeholders.",
        "This is a placeholder.",
        "Update: the age is 4.",
        "Oops, age is 4.",
        "I meant 4.",
        "My mistake, the age is 4.",
        "Let me try again.",
        "Ignore this.",
        "This doesn't look right.",
    ],
)
def test_a_value_that_the_next_words_take_back_is_refused(words: str) -> None:
    assert not extract(f"{VALUE}\n\n{words}", PERSON).ok
    assert not extract(fenced(VALUE) + words, PERSON).ok


@pytest.mark.parametrize(
    "words",
    [
        "Wait for the next message.",
        "Sorry for the delay.",
        "Note: the age is rounded.",
        'Note: the name should be "Al" per the register.',
        "I made an error-free extraction.",
        "Here's the corrected sentence of your input: he is 3.",
        "Let me correct that typo in your text, too.",
        "Please replace the values if they change.",
        "Please ignore the above warnings in the log.",
        "The remaining entries follow the same pattern but were not asked for.",
        "Note: the name should be checked by a human.",
        "Let me know if the name should be longer.",
        "Let me explain that: the age is in line 3.",
        "I made no mistake here.",
        "Actually, this is all there is.",
        "The age should be an integer, and it is.",
    ],
)
def test_words_that_leave_a_value_standing(words: str) -> None:
    assert extract(f"{VALUE}\n\n{words}", PERSON).value == AL


@pytest.mark.parametrize(
    "words",
    [
        "(truncated for brevity)",
        "Showing 2 of 12 items.",
        "Only the first few are shown here.",
        "... and so on",
        "etc.",
        "The remaining 10 items follow the same pattern.",
        "Would you like me to continue?",
        "[continues]",
        "...",
        "(5 more items omitted)",
        "Remaining items omitted.",
        "I've only included the first two.",
        "Items 3 to 9 follow.",
        "Note: list truncated to 2 entries.",
        "(output truncated due to length)",
    ],
)
def test_a_list_of_which_the_rest_was_left_out_is_refused(words: str) -> None:
    assert not extract(f"[{ITEM}]\n\n{words}", LIST).ok
    assert not extract(f"First item:\n{ITEM}\n{words}", LIST).ok


@pytest.mark.parametrize(
    "words",
    [
        "This is the only item.",
        "The remaining text holds none.",
        "Showing 1 of 1 items.",
        "Shall I explain?",
        "The other items are similar in price.",
        "Just the first result is shown in the text.",
        "So on the whole, one item.",
        "Etc is not an item.",
    ],
)
def test_a_list_that_is_all_there_is(words: str) -> None:
    assert extract(f"[{ITEM}]\n\n{words}", LIST).value == [AL]


def test_an_item_before_an_ellipsis_is_not_the_list() -> None:
    assert not extract(f"{ITEM}, ...", LIST).ok


@pytest.mark.parametrize(
    "text",
    [
        f"Draft: {VALUE}\nFinal answer:\nname: Bo\nage: 4",
        f"Draft: {VALUE}\nFinal: null",
        f"Example:\n{fenced(VALUE)}Answer:\n{fenced('null')}",
        f"Example:\n{fenced(VALUE)}Answer:\n{fenced('[]')}",
        f"Example:\n{fenced(VALUE)}Answer:\n{fenced('')}",
        f"Example:\n{fenced(VALUE)}Answer:\n```yaml\nname: Bo\nage: 4\n```",
        f"{fenced(NOBODY)}A successful output would look like:\n{fenced(VALUE)}",
        f'{{"name": null, "age": null}}\n\n(With a person it might be {VALUE})',
        f'An example is:\n{{"name": "Cy", "age": 3}}\nAlternatively:\n{VALUE}',
        f"An incorrect output would be: {VALUE}",
        f"Following your example, a template would be: {VALUE}",
        f"{VALUE} is not the answer.",
        f"{VALUE} (example)",
    ],
)
def test_a_draft_or_an_example_is_not_taken_because_the_answer_cannot_be(text: str) -> None:
    assert not extract(text, PERSON).ok


def test_a_faulty_final_answer_is_not_passed_over() -> None:
    assert not extract('Observation: {"hits": ["z"]}\nFinal Answer: ["a", null]', TEXTS).ok


@pytest.mark.parametrize(
    "text",
    [
        f"Draft: {VALUE}\nIt fits the schema.",
        f"Following your example format:\n{VALUE}",
        f"As in the example:\n{VALUE}",
        f"Output in the format from the example:\n{VALUE}",
        f'Here is the JSON for "Al":\n\n{VALUE}',
        f"Result for 'Al':\n{VALUE}",
        f'The schema wants something like {{"name": "x", "age": 0}}. Here is the actual result:\n{VALUE}',
        f'# Reasoning\n{{"name": "x", "age": 1}}\n# Answer\n{VALUE}',
        f'Input: {{"name": "x", "age": 1}}\nOutput: {VALUE}',
        f"Here is what I found:\n\n- Name: Al\n- Age: 3\n\n{fenced(VALUE)}",
        f"Name: Al\nAge: 3\nJSON: {VALUE}",
        f"Name: Al\nAge: 3\nReading: {VALUE}",
        f'{{"name": "Al", "age": 9}}\nCorrected: {VALUE}',
        f"```json\nHere's the result of it:\n{VALUE}\n```",
        f"```json\n以下是结果\uff1a\n{VALUE}\n```",
        f'<unused94>thought\nmaybe {{"name": "x", "age": 1}}<unused95>{VALUE}',
    ],
)
def test_words_that_lead_to_the_answer(text: str) -> None:
    extraction = extract(text, PERSON)

    assert extraction.ok, extraction.reason
    assert extraction.value == AL


@pytest.mark.parametrize(
    "text",
    [
        f"For example: {VALUE}",
        f"In this example, the output would be: {VALUE}",
        f'{{"x": 1,\n"child":\n{VALUE}',
        f'"child":\n{VALUE}',
        f"name: Cy\nage: 9\nspouse: {VALUE}",
        f"- **Name**: Cy\n- **Age**: 9\n- **Child**: {VALUE}",
        f'Person(name="Cy", child={VALUE})',
        f"&quot;name&quot;: &quot;Cy&quot;, &quot;child&quot;: {VALUE}",
    ],
)
def test_examples_and_members_of_something_else_are_refused(text: str) -> None:
    assert not extract(text, PERSON).ok


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("It is 42 [1].", {"type": "integer"}),
        ("The probability is 0.2 [1].", {"type": "number"}),
        ("The capital is Paris [1].", {"type": "string"}),
        ("Tags: a, b, c [1]", TEXTS),
        ('```json\n[北京 (2), "a"]\n```\nThe rest [1] was inferred.', TEXTS),
        ("Output: ```json\n0.25\n```\n\n- The rest [1] was inferred.", {"type": "number"}),
    ],
)
def test_a_citation_is_not_the_answer(text: str, schema: dict[str, Any]) -> None:
    assert not extract(text, schema).ok
