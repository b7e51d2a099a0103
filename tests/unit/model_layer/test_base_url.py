"""Prompts and keys do not leave for places nobody meant."""

import pytest

from model_layer.base_url import check_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://models.internal:8443/v1/",
        "http://127.0.0.1:8080/v1",
        "http://127.9.9.9/v1",
        "http://localhost:11434/v1",
        "http://[::1]:8080/v1",
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_fine(url: str) -> None:
    assert check_base_url(url, allow_http=False) is None


@pytest.mark.parametrize("url", ["http://10.0.0.7:8000/v1", "http://localhost.example.com/v1", "http://0.0.0.0/v1"])
def test_http_to_another_host_must_be_allowed_in_so_many_words(url: str) -> None:
    fault = check_base_url(url, allow_http=False)
    assert fault is not None
    assert "allow_http = true" in fault
    assert check_base_url(url, allow_http=True) is None


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("ftp://host/v1", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("api.openai.com/v1", "http or https"),
        ("https://", "http or https"),
        ("https://host:notaport/v1", "not a URL"),
        ("https://user:secret@host/v1", "key_env"),
        ("https://host/v1?key=secret", "query"),
    ],
)
def test_other_urls_are_refused_with_a_mend_and_without_repeating_them(url: str, mend: str) -> None:
    fault = check_base_url(url, allow_http=True)
    assert fault is not None
    assert mend in fault
    assert "secret" not in fault
