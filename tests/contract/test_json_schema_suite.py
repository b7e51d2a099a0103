"""``check`` passes every required test of the official JSON Schema suite, of each draft."""

import os

import pytest

from bench.validation.official import DRAFTS, Suite, SuiteError, fetched


@pytest.fixture(scope="module")
def suite() -> Suite:
    """The suite; skipped where it cannot be fetched, required in CI."""
    try:
        return fetched()
    except SuiteError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI requires the official JSON Schema suite: {error}")
        pytest.skip(str(error))


@pytest.mark.parametrize("draft", DRAFTS)
def test_check_passes_all_that_the_suite_requires(draft: str, suite: Suite) -> None:
    found = suite.tally(draft)

    assert found.tests > 500
    assert found.ours_fails == []
