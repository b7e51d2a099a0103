"""Vendors' headers on calling again, as the vendors' own clients read them."""

import pytest

from model_layer.providers.retry_advice import retry_after_s, should_retry

FRIDAY_NOON_S = 1_795_176_000.0  # 2026-11-20 12:00:00 UTC


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        (
            {"retry-after": "Fri, 20 Nov 2026 13:00:30 GMT", "date": "Fri, 20 Nov 2026 13:00:00 GMT"},
            30.0,
        ),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "1e9"}, 86_400.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "1 Jan 99999999999 00:00:00"}, None),
        ({"retry-after": "Fri, 99 Nov 2026 12:00:30 GMT"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, FRIDAY_NOON_S) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-should-retry": "true"}, True),
        ({"x-should-retry": "False"}, False),
        ({"x-should-retry": "maybe"}, None),
    ],
)
def test_whether_to_call_again(headers: dict[str, str], expected: bool | None) -> None:
    assert should_retry(headers) is expected
