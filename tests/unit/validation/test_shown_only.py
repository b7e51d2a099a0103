"""A lone value that only shows a form, asks, is a part or was somebody else's is no answer, in prose or in a block."""

from typing import Any

import pytest

from output_validation import extract
from tests.unit.validation.schemas import ONE_NUMBER, fenced

_VALUE = '{"n": 1}'
_LIST: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}


@pytest.mark.parametrize(
    "words",
    [
        "For example, the output might look like:",
        "Here is an example of the output:",
        "Here is a hypothetical example:",
        "I do not have the document, so here are placeholder values:",
        "I cannot process this document. If I could, the output would look something like this:",
        "Sample output:",
        "Here's a sample JSON:",
        "Output format:",
        "Expected format:",
        "Here is the JSON (mock data):",
        "This is NOT the answer:",
        "The following is NOT correct:",
        "Don't return this:",
        "I am assuming typical values:",
        "Previous version:",
        "Your input was:",
    ],
)
def test_words_that_only_show_a_form_lead_to_no_answer(words: str) -> None:
    assert not extract(f"{words} {_VALUE}", ONE_NUMBER).ok
    assert not extract(f"{words}\n{fenced(_VALUE)}", ONE_NUMBER).ok


@pytest.mark.parametrize(
    "words",
    [
        "Here is the JSON:",
        "Following your example, here is the answer:",
        "Here is the output in the requested format:",
        "Here is the answer in JSON format:",
        "Based on the sample email:",
        "The blood sample result is:",
        "Output:",
        "Here's the structured data based on the example:",
        "I used the template you provided:",
        "Here is the JSON for the text you sent:",
        "Here is the JSON for the example text:",
        "I replaced the placeholder with its value.",
        "I replaced each {placeholder} with its value.",
        "No example was given, so I used my judgement.",
        "Here is the completed template:",
        "Here are the fields (e.g. the number):",
        "Is it clear? I think so:",
        "The original was in German; here is the JSON:",
        "I used null as a placeholder for missing values.",
        "As shown in the examples, the output is:",
        "Here is the analysis of the example:",
        "Answer to example 3:",
        "Using the example as a guide, I extracted:",
        "Error analysis of the invalid input:",
    ],
)
def test_words_that_lead_to_an_answer_do(words: str) -> None:
    assert extract(f"{words} {_VALUE}", ONE_NUMBER).value == {"n": 1}
    assert extract(f"{words}\n{fenced(_VALUE)}", ONE_NUMBER).value == {"n": 1}


@pytest.mark.parametrize(
    "text",
    [
        f"Do you mean {_VALUE}?",
        f"Should I return `{_VALUE}`?",
        f"You provided: {_VALUE}. What should I do with it?",
        f"The user gave me {_VALUE} but it is incomplete.",
        f"I would never answer {_VALUE}",
        f"Avoid outputs like {_VALUE}",
        f"If the text were longer, the answer would be {_VALUE}",
        f"Error: invalid input {_VALUE}",
    ],
)
def test_a_value_that_is_asked_for_or_spoken_of_is_no_answer(text: str) -> None:
    assert not extract(text, ONE_NUMBER).ok


@pytest.mark.parametrize(
    "behind",
    [
        "}\n\nWait, that's wrong.",
        "\n---\nWait, that's wrong.",
        "\n\nI hope this helps! Wait, that's wrong.",
        "\n\nHmm, let me recount: n should actually be 3.",
        "\n\nHowever, upon closer inspection the correct n is 5.",
        "\n\nHold on, I misread the text.",
        "\n\nActually n: 5",
        "\n\nThe values above are fictional.",
        "\n\nDisclaimer: the data above is fabricated.",
        "\n\nThese values are illustrative.",
    ],
)
def test_a_value_is_taken_back_whatever_stands_between(behind: str) -> None:
    assert not extract(_VALUE + behind, ONE_NUMBER).ok
    assert not extract(f"<answer>{_VALUE}</answer>{behind}", ONE_NUMBER).ok


@pytest.mark.parametrize(
    "behind",
    [
        "\n\nI hope this helps!",
        "\n\nActually, this was easy.",
        "\n\nLet me recheck: yes, n should be right.",
        "\n\nUpon closer inspection the number is correct.",
        "\n\nThe story is fictional.",
    ],
)
def test_what_takes_nothing_back_leaves_the_value(behind: str) -> None:
    assert extract(_VALUE + behind, ONE_NUMBER).value == {"n": 1}


@pytest.mark.parametrize(
    "text",
    [
        "Here are the first 2 of 10 items:\n[1, 2]",
        "Partial result:\n[1, 2]",
        "[1, 2]\n\nOnly the first two are shown.",
        "[1, 2]\n\nI will continue in the next message.",
        "I found 2 items: `[1, 2]`, and 3 more.",
        "[1, 2\n// other items here\n]",
        "[1, 2\n// additional items as needed\n]",
        "[1, 2\n// same for the others\n]",
        "[1, 2\n// continue similarly\n]",
        "[1, 2\n// the other 5 follow the same pattern\n]",
        "[1, 2\n// plus others\n]",
    ],
)
def test_a_part_of_a_list_is_not_the_list(text: str) -> None:
    assert not extract(text, _LIST).ok


@pytest.mark.parametrize(
    "text",
    [
        "Here are the first 2 of 2 items:\n[1, 2]",
        "The first two items:\n[1, 2]",
        "[1, 2 // other items: none\n]",
        "[1, 2]\n\nNote that `[]` would mean no result.",
        "Note that `[]` would mean no result.\n\nThe answer:\n[1, 2]",
        "[1, 2]\n\nEmpty lists are given as [].",
        "[1, 2]\n\n(If nothing had been found, I would have returned `[]`.)",
        "[1, 2]\n\nNote that `[3000]` was in the header.",
    ],
)
def test_a_list_is_read_whatever_a_remark_speaks_of(text: str) -> None:
    assert extract(text, _LIST).value == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]\n\nThe final answer is `[3000]`.",
        "[1, 2]\n\nSorry, it should be `[3000]`.",
        "[1, 2]\n\nSince 1 is excluded, the list becomes `[3000]`.",
        "[1, 2]\n\nOr `[3000]`.",
    ],
)
def test_what_a_later_sentence_gives_is_no_remark(text: str) -> None:
    assert extract(text, _LIST).value != [1, 2]
