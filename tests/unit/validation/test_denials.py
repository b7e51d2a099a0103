"""A value that words call wrong, made up or an example is refused wherever they stand; other talk is let pass."""

import pytest

from output_validation import extract
from tests.unit.validation.schemas import ONE_NUMBER, fenced

V = '{"n": 1}'
POSITIONS = {
    "this": "This is {}: V",
    "the-answer": "The answer is {}: V",
    "sentence-below": "V\nThis is {}.",
    "in-brackets": "V ({})",
    "comment-behind": "V // {}",
    "comment-inside": '{"n": 1 // {}\n}',
    "arrow": "V <- {}",
    "label": "{}: V",
    "made-a-sentence-of": "V is {}.",
}
CALLED = (
    "wrong",
    "incorrect",
    "invalid",
    "not correct",
    "not valid JSON",
    "made up",
    "placeholder",
    "a placeholder",
    "fake",
    "example",
    "an example",
    "not the answer",
)
MAY_BE_SAID = {("comment-inside", "example"), ("comment-inside", "an example")}
"""A member may have an example behind it."""


def said(text: str) -> str:
    return text.replace("V", V)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("words", CALLED)
def test_the_same_words_are_heard_wherever_they_stand(words: str, position: str) -> None:
    extraction = extract(said(POSITIONS[position].replace("{}", words)), ONE_NUMBER)

    assert extraction.ok is ((position, words) in MAY_BE_SAID)


@pytest.mark.parametrize(
    "text",
    [
        "Wrong: V",
        "**Wrong:** V",
        "## Wrong\nV",
        "Wrong answer: V",
        "A wrong answer: V",
        "The incorrect answer is: V",
        "An incorrect output would be: V",
        "Invalid JSON: V",
        "An invalid response: V",
        "Made up: V",
        "Made-up answer: V",
        "An invented answer: V",
        "Placeholder value: V",
        "Fake data: V",
        "Not the answer: V",
        "Not my answer: V",
        "Not a valid answer: V",
        "Not correct: V",
        "Not valid JSON: V",
        "This is not valid JSON: V",
        "This is not the answer: V",
        "This is not a real answer: V",
        "This isn't the answer: V",
        "That's not correct: V",
        "That\u2019s not correct: V",
        "This is just made up: V",
        "This is only a placeholder: V",
        "This is clearly wrong: V",
        "It is invalid: V",
        "The answer below is wrong: V",
        "The following is not the answer. V",
        "The following is an example: V",
        "The following JSON is made up: V",
        "What follows is a placeholder: V",
        "Here is a wrong answer: V",
        "Here's an invalid output: V",
        "Here is a made-up answer: V",
        "Here is an example with dummy values: V",
        "I know nothing of it, so here it is with made-up values: V",
        "Note that this is made up: V",
        "Sorry, but this is a placeholder: V",
        "The answer is incorrect: V",
        "The answer is made up: V",
        "This is an example: V",
        "Here is the example invoice: V",
        "Here is the example you asked for: V",
        "The example text is: V",
        "For example: V",
        "e.g. V",
        "Do not return V",
        "This is not V",
        "This is not the real answer, just made up: V",
        "I could not find it, so this is a placeholder: V",
        "I could not find it, so here is a placeholder: V",
        "I don't know the total, so I made up a value: V",
        "I invented a value: V",
        "I have made these values up: V",
        "These values are made up: V",
        "The values are placeholders: V",
        "The values below are made up: V",
        "All values below are invented: V",
        "The numbers here are fake: V",
        "Note: values are made up: V",
        "[Example] V",
        "<example>V</example>",
        "(not the answer) V",
        "(wrong) V",
        "*wrong*: V",
        "Wrong -> V",
        "wrong => V",
        "Wrong = V",
        "Incorrect \u2014 V",
        "Example - V",
        "This is just a dummy: V",
        "Dummy: V",
        "A dummy answer: V",
        "Do not use this: V",
        "Don't use: V",
        "This must not be the answer: V",
        "This cannot be the answer: V",
        "This can't be right: V",
        "This should not be returned: V",
    ],
)
def test_words_before_a_value_that_deny_it(text: str) -> None:
    assert not extract(said(text), ONE_NUMBER).ok


@pytest.mark.parametrize(
    "words",
    [
        "This is not the answer.",
        "That is not my final answer.",
        "This isn't the answer.",
        "This is made up.",
        "This is just an example.",
        "This is an example.",
        "This is an example output.",
        "This is an example of the output format.",
        "This is a placeholder for the real value.",
        "This is only a dummy value.",
        "This is not correct.",
        "This isn\u2019t correct.",
        "This is not valid JSON.",
        "This is not quite right.",
        "This answer is wrong.",
        "This is a wrong answer.",
        "The answer above is incorrect.",
        "The above is invented.",
        "The above is a made-up example.",
        "Note that this is a placeholder.",
        "Please note: these values are made up.",
        "These values are placeholders.",
        "These numbers are just examples.",
        "All values are fake.",
        "These are placeholder values.",
        "All of the values are invented.",
        "**This is wrong.**",
        "(This is a placeholder.)",
        "But this is wrong because n is 2.",
        "This is wrong, n is 2.",
        "This is wrong; sorry.",
        "Oops, wrong value.",
        "Wait, that is wrong.",
        "Sorry, I gave the wrong value.",
        "Actually, that's not right.",
        "Do not use this.",
        "Don't use this, it is made up.",
        "This is obviously not correct.",
        "This is definitely wrong.",
        "That's wrong.",
        "That is completely wrong.",
        "That was a mistake.",
        "This was just an example.",
        "The JSON above is only an example.",
        "The above JSON is a placeholder.",
        "The values above are placeholders.",
        "Values are made up.",
        "Note: values are placeholders.",
        "All of these values are made up.",
        "I made these values up.",
        "I made up the values.",
        "I invented the value.",
        "This answer is not correct.",
        "This is not the correct answer.",
        "This is not the right answer.",
        "This isn't valid.",
        "This isn't a real answer.",
        "This would be wrong.",
        "Not the answer.",
        "Example only.",
        "Just an example.",
        "Placeholder.",
        "Just a placeholder.",
        "Placeholder values.",
        "For illustration only.",
        "The answer is wrong.",
        "My answer is wrong.",
        "My answer above is wrong.",
    ],
)
def test_sentences_behind_a_value_that_deny_it(words: str) -> None:
    assert not extract(f"{V}\n\n{words}", ONE_NUMBER).ok
    assert not extract(f"The total is {V}. {words}", ONE_NUMBER).ok
    assert not extract(fenced(V) + words, ONE_NUMBER).ok


@pytest.mark.parametrize(
    "remark",
    [
        ". This is wrong.",
        ". This is a placeholder.",
        " (wrong)",
        " (wrong!)",
        " (this is wrong)",
        " (just an example)",
        " (example only)",
        " (an example)",
        " (made-up values)",
        " (not the answer)",
        " (for illustration only)",
        " (wrong, should be 2)",
        " [example]",
        " // this is wrong",
        " // wrong",
        " // not the answer",
        " // just a placeholder",
        " // should be 2",
        " // ... more",
        " # wrong",
        " # placeholder",
        " /* made up */",
        " <!-- placeholder -->",
        " // example",
        "\n// placeholder",
        "\n/* wrong */",
        " <-- wrong",
        " <- this is an example",
        " \u2190 invalid",
        " <= made up",
        " - wrong",
        " \u2014 an example",
        " \u2013 not the answer",
        " is wrong.",
        " is wrong because n is 2.",
        " is not the answer.",
        " isn't the answer.",
        " is not correct.",
        " is a placeholder.",
        " is made up.",
        " is just an example.",
        " would be wrong.",
        ", which is wrong.",
        ", which is not the answer.",
        " \u2717 wrong",
        ": wrong",
        ", an example.",
        ", but this is wrong.",
        ", but that is not correct.",
        ", just an example.",
        "; this is wrong.",
        ". Not the answer.",
        " is certainly not the answer.",
        " cannot be the answer.",
        " was an example.",
        " is wrong!",
        " is incorrect: n is 2",
        " are placeholder values.",
        "\n(wrong)",
        "\n(example)",
        "\n(made up)",
        "\n^ wrong",
        "\n<- wrong",
    ],
)
def test_remarks_on_the_line_of_a_value_that_deny_it(remark: str) -> None:
    assert not extract(f"{V}{remark}", ONE_NUMBER).ok
    assert not extract(f"The total:\n{V}{remark}\n\nIt is the sum of both.", ONE_NUMBER).ok


@pytest.mark.parametrize(
    "comment",
    [
        "// this is invalid",
        "// not the answer",
        "// this is not the answer",
        "// made-up value",
        "// not valid",
        "// wrong because it is 2",
        "// clearly wrong",
        "// erroneous",
    ],
)
def test_comments_in_a_value_that_deny_it(comment: str) -> None:
    assert not extract(f'{{"n": 1 {comment}\n}}', ONE_NUMBER).ok


@pytest.mark.parametrize("comment", ["// ... more", "// and so on", "# 3 more items", "/* truncated */"])
def test_a_comment_behind_a_list_that_says_some_were_left_out(comment: str) -> None:
    numbers = {"type": "array", "items": {"type": "integer"}}

    assert not extract(f"[1, 2] {comment}", numbers).ok
    assert not extract(f"The numbers:\n[1, 2] {comment}\n\nThere are many.", numbers).ok
    assert extract("[1, 2] // the rest are names", numbers).value == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 2} is made up, {"n": 1} is right',
        'For example: {"n": 2}\nThis is not an example: {"n": 1}',
        'Draft: {"n": 2}\nHere is the corrected version of the invalid JSON: {"n": 1}',
    ],
)
def test_of_two_values_the_one_is_meant_that_nothing_denies(text: str) -> None:
    assert extract(text, ONE_NUMBER).value == {"n": 1}


@pytest.mark.parametrize("text", ['{"n": 1} - wrong: {"n": 2}', '{"n": 1} -> an example: {"n": 2}'])
def test_what_leads_to_the_next_value_does_not_deny_the_one_before(text: str) -> None:
    assert extract(text, ONE_NUMBER).value != {"n": 2}
