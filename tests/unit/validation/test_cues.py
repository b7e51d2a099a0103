"""Which of several values is meant: only words that can be read in one way tell."""

import pytest

from output_validation import extract
from tests.unit.validation.schemas import ONE_NUMBER, fenced


@pytest.mark.parametrize(
    "text",
    [
        'Here is the JSON for the given text, following the schema:\n{"n": 1}\nOr, with tax included:\n{"n": 2}',
        'Before tax: {"n": 100}\nAfter tax: {"n": 119}',
        'Input tokens: {"n": 5}\nOutput tokens: {"n": 7}',
        '{"n": 1}. The answer is not {"n": 2}.',
        '{"n": 1}. The answer isn\'t {"n": 2}.',
        '{"n": 1}\n\nFinally, note that {"n": 2} would be wrong.',
        '{"n": 1}\nIf the user had instead asked for net: {"n": 2}',
        '{"n": 1}\nIf net is meant, the answer is {"n": 2}',
        '{"n": 1}\n\nAn earlier, fixed version gave {"n": 2}.',
        '{"n": 1}\n\nThe answer {"n": 2} was given earlier.',
        fenced('{"n": 1}') + 'Wait, I misread the total. It should be {"n": 2}.',
        fenced('{"n": 1}') + 'Wait, I misread the total. It should be {"n": 2',
        "My final answer:\n" + fenced('{"n": 1}') + 'Corrected: {"n": 2}',
        fenced('{"n": 1}') + 'Wait, that is before tax. With the given rate: {"n": 2}',
        '{"n": 1}\n\nOops, I meant:\n' + fenced('{"n": "abc"}'),
        '{"n": 1}\n\nOn reflection, this is wrong. It should be:\n{"n": "about 3"}',
        '{"n": 1}\n\nWait, that is wrong. The corrected answer is:\n\nn: 2',
        fenced('{"n": 1}') + "Oops, I made a mistake.",
        '{"n": 1}\n\nActually, n should be 2.',
        '{"n": 1} Hmm, wait, let me redo it.',
    ],
)
def test_a_value_that_is_taken_back_or_rivalled_is_refused(text: str) -> None:
    assert not extract(text, ONE_NUMBER).ok


@pytest.mark.parametrize(
    "text",
    [
        'Draft: {"n": 1}\nThen: {"n": 2}',
        'Before tax: {"n": 1}\nMy final answer: {"n": 2}',
        'For example:\n```json\n{"n": 1}\n```\nHence:\n```json\n{"n": 2}\n```',
        'Take e.g. {"n": 1}. The answer is {"n": 2}.',
        'The answer is {"n": 2}, while {"n": 1} is wrong.',
        fenced('{"n": 2}') + 'This follows the old format. For example, {"n": 1} would do too.',
        fenced('{"n": 2}') + 'Note that {"n": 1} would be wrong.',
    ],
)
def test_plain_words_tell_which_value_is_meant(text: str) -> None:
    extraction = extract(text, ONE_NUMBER)

    assert extraction.ok, extraction.reason
    assert extraction.value == {"n": 2}


@pytest.mark.parametrize(
    "words",
    [
        "Wait — I have looked again, and it is right.",
        "Actually, this should be all you need.",
        "Waiting for what may be wrong.",
        "Wait! If that is wrong, say so.",
        "Let me know if anything is wrong.",
        "No errors should be left.",
    ],
)
def test_words_that_follow_a_value_and_leave_it_standing(words: str) -> None:
    assert extract(f'{{"n": 1}}\n\n{words}', ONE_NUMBER).value == {"n": 1}
    assert extract(fenced('{"n": 1}') + words, ONE_NUMBER).value == {"n": 1}
