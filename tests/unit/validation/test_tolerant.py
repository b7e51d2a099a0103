"""Faulty JSON is mended only where it can be read in one way: no string is cut short, nothing vanishes."""

from typing import Any

import pytest

from output_validation import RepairKind, extract


def _closed(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_TEXT: dict[str, Any] = {"type": "string"}
_BOTH = _closed(n={"type": "integer"}, s=_TEXT)
_TAGS = _closed(tags={"type": "array", "items": _TEXT})


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 1, "s": "see "#12" for details"}',
        '{"s": "use "//" for comments",\n "n": 1}',
        '{"s": "use "//" for comments"\n, "n": 1}',
        '{"s": "say "a", // "b" or "c"\n, "n": 1}',
        '{"n": 1, "s": "say "a", // "b"\n}',
        '{"n": 1, "s": "a" # the end}',
        "{'n': 1, 's': 'see '#12' for details'}",
        "{\n s: C#,\n n: 1\n}",
        "{\n s: a#b,\n n: 1\n}",
        "{\n s: and//or\n, n: 1\n}",
    ],
)
def test_what_may_be_a_part_of_a_string_is_no_comment(text: str) -> None:
    assert not extract(text, _BOTH).ok


@pytest.mark.parametrize(
    "text",
    [
        '{"s": "a", // don\'t ask\n "n": 1}',
        '{"s": "a" /* it\'s a text */, "n": 1}',
        '{"s": "a", // or "b" or "c" maybe\n "n": 1}',
        '{"s": "a", // it\'s the "total"\n "n": 1}',
        '{"s": "a", # one\n "n": 1 // two or more\n}',
        '{"n": 1, // one\n "s": "a"}',
        '{"n": 1, "s": "a" // last\n}',
    ],
)
def test_a_comment_is_removed(text: str) -> None:
    extraction = extract(text, _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"n": 1, "s": "a"}


@pytest.mark.parametrize("comment", ["// ... more items", "/* ... */", "# rest omitted", "// \u2026", "// and 3 more"])
def test_a_comment_that_stands_for_items_is_a_loss(comment: str) -> None:
    assert not extract(f'{{"tags": ["a", "b", {comment}\n]}}', _TAGS).ok


def test_a_duplicate_of_another_type_is_none() -> None:
    schema = {"type": "object"}

    assert extract('{"a": [1], "a": [1]}', schema).ok
    assert not extract('{"a": [1], "a": [true]}', schema).ok


@pytest.mark.parametrize(
    "text",
    [
        '{"s": "part one "\n "part two", "n": 1}',
        '{"s": "a" or "b", "n": 1}',
        '{"s": "a" if x else "b", "n": 1}',
        '{"n": 1, "s": "\\u00e"}',
        '{"n": 1, "s": "\\u{1F600}"}',
        '{"n": 1, "s": "a\\x00b"}',
    ],
)
def test_two_strings_and_broken_escapes_are_not_one_string(text: str) -> None:
    assert not extract(text, _BOTH).ok


def test_a_comment_between_items_is_removed() -> None:
    assert extract('{"tags": ["a", // the "first"\n "b", // it\'s "x"\n "c"]}', _TAGS).value == {
        "tags": ["a", "b", "c"]
    }


def test_two_strings_are_not_one_item() -> None:
    assert not extract('{"tags": ["a", "b" and "c"]}', _TAGS).ok


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('a 5" by 7" print', 'a 5" by 7" print'),
        ('"big" lids', '"big" lids'),
        ('say "hi" or "ho" to all', 'say "hi" or "ho" to all'),
        ("C:\\users", "C:\\users"),
    ],
)
def test_inner_quotes_in_pairs_stay(text: str, value: str) -> None:
    extraction = extract(f'{{"s": "{text}", "n": 1}}', _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"s": value, "n": 1}


@pytest.mark.parametrize("joint", ["\uff1b", "\u3001", "\u060c", " | ", ".\n", "/", "\u2192", "&", "\\n"])
def test_two_strings_without_a_comma_between_them_are_never_one(joint: str) -> None:
    extraction = extract(f'{{"tags": ["kettle"{joint}"lid"]}}', _TAGS)

    assert not extraction.ok or extraction.value == {"tags": ["kettle", "lid"]}


@pytest.mark.parametrize("text", ['a "b" c', '\u4ed6\u8bf4"\u597d"\uff0c\u7136\u540e\u8d70', '"a", she said'])
def test_inner_quotes_around_words_join_no_strings(text: str) -> None:
    extraction = extract(f'{{"n": 1, "s": "{text}"}}', _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"n": 1, "s": text}


@pytest.mark.parametrize(
    "text",
    [
        '{"n"\uff1a1\uff0c\n "s"\uff1a"a"}',
        '{"s": "a"\uff1b"n": 1\uff0c}',
        '{"n": 1;\n "s": "a";\n}',
        "{`n`: 1, `s`: `a`}",
    ],
)
def test_members_may_be_separated_by_other_signs(text: str) -> None:
    extraction = extract(text, _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"n": 1, "s": "a"}


def test_a_full_width_comma_separates_items() -> None:
    assert extract('{"tags": ["a, b"\uff0c\n"c\uff0cd"]}', _TAGS).value == {"tags": ["a, b", "c\uff0cd"]}


@pytest.mark.parametrize("text", ["[1; 2]", "[1, 2; 3, 4]", '["a", "b"; "c", "d"]'])
def test_a_semicolon_between_items_may_begin_a_row(text: str) -> None:
    assert not extract(text, {"type": "array"}).ok


def test_other_signs_in_a_string_separate_nothing() -> None:
    text = "a\uff0cb\uff1ac; d\uff1b"

    assert extract(f"{{'n': 1, 's': '{text}'}}", _BOTH).value == {"n": 1, "s": text}


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("{'tags': ('a', 'b')}", ["a", "b"]),
        ("{'tags': ('a (b)',)}", ["a (b)"]),
        ("{'tags': ()}", []),
        ("{'tags': ('a', # one\n 'b')}", ["a", "b"]),
    ],
)
def test_a_tuple_is_a_list(text: str, tags: list[str]) -> None:
    assert extract(text, _TAGS).value == {"tags": tags}


@pytest.mark.parametrize(
    "value",
    ["('a')", "('a' 'b', 'c')", "('a' + 'b')", "('a'; 'b')", "(x for x in y)", "('a', date(2026, 1, 2))", "('a'"],
)
def test_other_parentheses_are_no_list(value: str) -> None:
    assert not extract(f"{{'tags': {value}}}", _TAGS).ok


@pytest.mark.parametrize(
    "text",
    ['{\n n\uff1a1\uff0c\n s\uff1a"a"\n}', '{"s": "a"\uff0c\n n\uff1a1}', '{"s": "a"\uff0c # it\'s here\n "n": 1}'],
)
def test_bare_keys_and_comments_may_follow_other_signs(text: str) -> None:
    assert extract(text, _BOTH).value == {"n": 1, "s": "a"}


def test_a_comment_behind_another_sign_is_no_part_of_an_item() -> None:
    assert extract('{"tags": ["a"\uff0c # it\'s here\n "b"\uff0c "c"]}', _TAGS).value == {"tags": ["a", "b", "c"]}


def test_arrows_may_follow_bare_keys() -> None:
    assert extract('{\n  n => 1,\n  s => "a",\n}', _BOTH).value == {"n": 1, "s": "a"}
    assert extract('{s => "a, n => 2", n => 1}', _BOTH).value == {"s": "a, n => 2", "n": 1}


@pytest.mark.parametrize("lines", [501, 20_000])
def test_a_string_may_stand_on_any_number_of_lines(lines: int) -> None:
    code = "x = 1\n\ty = 2\n" * lines

    extraction = extract(f'{{"n": 1, "s": "{code}"}}', _BOTH)

    assert extraction.value == {"n": 1, "s": code}
    assert [repair.kind for repair in extraction.repairs] == [RepairKind.CONTROL_ESCAPED]
    assert extraction.ok


@pytest.mark.parametrize(
    "text", ['Er sagte „Hallo", dann ging er.', '„Hallo"', 'a „b“, „c” und „d" e', '„Ja", „Nein", „Vielleicht" und so']
)
def test_an_ascii_quote_ends_what_a_low_one_opened(text: str) -> None:
    extraction = extract(f'{{"s": "{text}", "n": 1}}', _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"s": text, "n": 1}


@pytest.mark.parametrize("text", ['„a" + "b', '„a" oder "b', 'a “b" c', '«a" b', '„ a" b', '„a“ b" c', '„a", "b" c'])
def test_other_quotes_without_a_pair_are_a_guess(text: str) -> None:
    assert not extract(f'{{"s": "{text}", "n": 1}}', _BOTH).ok


@pytest.mark.parametrize(
    "text",
    [
        '{"s": "a”, "n": 1}',
        '{"n": 1, "s": "a”}',
        '{"n”: 1, "s”: "a"}',
        '{"s": "a",\n "n”: 1}',
        '{\n "s”: "a”,\n "n”: 1\n}',
    ],
)
def test_a_curly_quote_may_close_what_an_ascii_one_opened(text: str) -> None:
    extraction = extract(text, _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"n": 1, "s": "a"}


def test_a_curly_quote_closes_nothing_where_it_may_be_a_part_of_the_text() -> None:
    assert extract('{"tags": ["a”, "b”]}', _TAGS).value == {"tags": ["a", "b"]}
    assert extract('{"s": "“a”, b\nc ” d", "n": 1}', _BOTH).value == {"s": "“a”, b\nc ” d", "n": 1}
    for text in (
        '{"s": "a\n”, \n”} b", "n": 1}',
        '{"tags": ["a: b”, c”]}',
        '{"s": "5”, "n": 1}',
        '{"s": "a “b”, "n": 1}',
        '{"s": "”, "n": 1}',
        '{"n": 1, "s": "a”',
    ):
        assert not extract(text, None).ok, text


@pytest.mark.parametrize(
    "text",
    [
        '{"tags": ["yes”, “no", "c"], "s”: "x"}',
        '{"s”: "x", "tags": ["a”, “b”, “c"], "n”: 1}',
        '{"a”: 1, “b": 2, "c”: 3}',
        '["a”, “b", "c”]',
        '[“a”, "b” , “c", “d”]',
    ],
)
def test_what_would_hold_the_end_of_another_string_is_refused_where_curly_quotes_end_strings(text: str) -> None:
    assert not extract(text, None).ok


def test_curly_quotes_in_pairs_are_the_texts_own_where_others_end_strings() -> None:
    assert extract('{"s”: "say “a”, “b”: c", "n": 1}', _BOTH).value == {"s": "say “a”, “b”: c", "n": 1}
    assert extract('{“n”: 1, “s”: "“a”, b"}', _BOTH).value == {"n": 1, "s": "“a”, b"}


def test_eight_megabytes_of_curly_quotes_in_a_string_without_end_are_refused() -> None:
    assert not extract('{"s": "' + "a” " * 2_000_000, {"type": "object"}).ok


@pytest.mark.parametrize(
    "items",
    [
        *('f"a", "b"', 'b"a"', 'R"a", R"b"', 'a"b", "c"', '"x", f"{y}", "z"', '"x", rb"y", "z"', "f'a'", '5", 6"'),
        *('1"a"', 'true"a"', 'so-called "x", "y"', "range [1]", "apple 2"),
    ],
)
@pytest.mark.parametrize("text", ["[%s]", '{"tags": [%s], "n": 1}'])
def test_no_comma_is_added_behind_a_word_on_its_line(text: str, items: str) -> None:
    assert not extract(text % items, {"type": ["array", "object"]}).ok


def test_a_comma_is_added_behind_a_word_at_the_end_of_a_line() -> None:
    assert extract('{"tags": [a\n"b"\n]}', {"type": "object"}).value == {"tags": ["a", "b"]}


@pytest.mark.parametrize(
    "word", ["string", "Number", "integer", "BOOLEAN", "placeholder", "omitted", "truncated", "n/a"]
)
@pytest.mark.parametrize("text", ['{"s": %s, "n": 1}', '{"tags": [%s, "a"]}', "{s: %s}"])
def test_a_word_that_names_a_type_or_a_gap_is_no_text(text: str, word: str) -> None:
    assert not extract(text % word, {"type": "object"}).ok
    assert extract(text % f"{word.replace('/', '')}s", {"type": "object"}).ok


@pytest.mark.parametrize(
    "text", ['{"n" /* one */ : 1, "s": "a"}', '{"s": "a", "n" /* one */: 1}', '{"n" // one\n : 1, "s" : "a"}']
)
def test_a_comment_may_stand_before_a_colon(text: str) -> None:
    assert extract(text, _BOTH).value == {"n": 1, "s": "a"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{姓名: "小红", 年龄: 17}', {"姓名": "小红", "年龄": 17}),
        ('{姓名\uff1a"小红"\uff0c年龄\uff1a17}', {"姓名": "小红", "年龄": 17}),
        ("{имя: Иван, été: naïve, 二维码: 不包含}", {"имя": "Иван", "été": "naïve", "二维码": "不包含"}),
        ('{"s": "x", 备注: 无}', {"s": "x", "备注": "无"}),
        ('{1: "a", 2: "b", 3: [4]}', {"1": "a", "2": "b", "3": [4]}),
        (
            "{u'a': u'It\\'s', u'b': [u'c', u'd'], u\"e\": (u'f', u'g')}",
            {"a": "It's", "b": ["c", "d"], "e": ["f", "g"]},
        ),
        ('{"s": "他说"好", 她说: "不", 1: "一"。", "n": 1}', {"s": '他说"好", 她说: "不", 1: "一"。', "n": 1}),
        (
            '{"s": "他说"好"\uff0c她说\uff1a"不"\uff0c走了", "n": 1}',
            {"s": '他说"好"\uff0c她说\uff1a"不"\uff0c走了', "n": 1},
        ),
    ],
)
def test_keys_and_words_of_all_alphabets_and_numbers_are_read(text: str, value: Any) -> None:
    extraction = extract(text, {"type": "object"})

    assert extraction.ok, extraction.violations
    assert extraction.value == value


@pytest.mark.parametrize("text", ['{"a": "x", 2: "b" and", "n": 1}', '{"a": 好的。}', "{'a': b'x'}", "{'a': r'\\d'}"])
def test_clauses_and_other_prefixes_are_not_read(text: str) -> None:
    assert not extract(text, {"type": "object"}).ok


@pytest.mark.parametrize(
    ("text", "s"),
    [(r'{\"s\": \"a \\"b\\"\", \"n\": 1}', 'a "b"'), (r'{\"n\": 1, \"s\": \"\\"b\\" c/\"}', '"b" c/')],
)
def test_inner_quotes_may_be_escaped_half_in_an_escaped_object(text: str, s: str) -> None:
    extraction = extract(text, _BOTH)

    assert extraction.ok, extraction.violations
    assert extraction.value == {"n": 1, "s": s}


@pytest.mark.parametrize("text", [r'{\"n\": 1, \"s\": \"C:\\"}', r'{\"s\": \"C:\\", \"n\": 1}'])
def test_a_backslash_that_ends_a_string_is_no_half_of_an_inner_quotes_escape(text: str) -> None:
    assert not extract(text, _BOTH).ok


@pytest.mark.parametrize(
    "inner", ["C:\\\\temp", "\\\\frac", "\\\\bword\\\\b", "\\\\\\\\srv\\\\x", "a\\n", "\\\\\\\\", '\\\\\\"c\\\\\\"']
)
def test_where_only_quotes_were_escaped_another_backslash_may_be_the_texts(inner: str) -> None:
    assert not extract(rf'{{\"n\": 1, \"s\": \"\\"b\\" {inner}\"}}', _BOTH).ok
    assert not extract(rf'{{\"n\": 1, \"part\": [{{\"s\": \"\\"b\\" {inner}\", \"n\": 1}}]}}', _BOTH).ok


def test_quotes_within_backticks_are_no_part_of_a_key_and_in_doubt_in_a_value() -> None:
    assert extract("{`\"n\"`: 7, `'s'`: `a`}", _BOTH).value == {"n": 7, "s": "a"}
    assert not extract('{`n`: 7, `s`: `"a"`}', _BOTH).ok


@pytest.mark.parametrize("text", ["{s: etc key: val}", '{"s": foo n: 1}', "{n: 1, s: a b: 2}"])
def test_a_key_behind_a_word_on_its_line_may_be_a_part_of_the_text(text: str) -> None:
    assert not extract(text, None).ok


def test_a_key_on_the_line_behind_a_word_is_one() -> None:
    assert extract("{\n s: a\n n: 1\n}", _BOTH).value == {"s": "a", "n": 1}
    assert extract('{"s": see "n": 1}', _BOTH).value == {"s": "see", "n": 1}
    assert extract("{on: true n: 1}", None).value == {"on": True, "n": 1}
