"""The demo's pure parts: its input, its counts, and which model it may call."""

import tomllib
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StackError
from common.recipes import load_catalogue, shipped_recipes
from headrace.demo.models import MODELS_FILE, chosen_model, keep_models_file
from headrace.demo.packages import RECIPE, Package, clean, installed_packages, read_package, spread, unique
from headrace.demo.tally import Card, tally
from headrace.local.services import MODELS_TOML
from headrace.local.state import State
from model_layer.deployments import load_deployments

NO_KEYS: Mapping[str, str] = {}


def package(name: str = "p") -> Package:
    return Package(name, "1", "", "")


def test_every_installed_package_is_an_input_that_the_recipe_takes() -> None:
    recipe = load_catalogue([shipped_recipes()]).get(RECIPE)
    assert recipe is not None
    found = installed_packages()

    assert len(found) > 50
    assert [each.name for each in found if recipe.input.check(each.as_input())] == []


def test_metadata_is_cut_and_what_is_empty_is_absent() -> None:
    found = {read.name: read for read in map(read_package, distributions())}

    assert len(found["pydantic"].description) == 1500
    assert package().as_input() == {"name": "p", "version": "1"}


@given(st.text())
def test_cleaned_text_can_be_sent(text: str) -> None:
    assert "\0" not in clean(text)
    assert clean(text).encode().decode() == clean(text)


def test_undecodable_bytes_do_not_reach_the_api() -> None:
    assert clean("a\udcffb\0") == "a?b"


def test_a_package_found_twice_counts_once() -> None:
    assert [each.version for each in unique([Package("A.b", "1", "", ""), Package("a-B", "2", "", "")])] == ["1"]


@given(st.integers(1, 50), st.integers(1, 60))
def test_a_spread_has_as_many_as_asked_for_and_there_are(there: int, wanted: int) -> None:
    packages = [package(str(number)) for number in range(there)]
    chosen = spread(packages, wanted)

    assert len(chosen) == min(there, wanted)
    assert [each for each in packages if each in chosen] == chosen


def card(state: str, *verdicts: str | None) -> Card:
    job: dict[str, Any] = {"state": state, "cost_usd": "0.5", "usage": {"input_tokens": 3, "output_tokens": 2}}
    attempts = [{"verdict": v, "model_served": None, "model": "m", "latency_ms": 7} for v in verdicts]
    return Card(package(), job, attempts)


def test_counts_are_what_happened() -> None:
    counted = tally(
        [
            card("succeeded", "accept"),
            card("succeeded", None, "accept"),
            card("succeeded", "re-ask", "accept"),
            card("failed", "re-ask", "reject"),
            card("failed", None),
            card("cancelled"),
        ]
    )

    assert (counted.first, counted.reasked, counted.rejected, counted.otherwise) == (2, 1, 1, 2)
    assert (counted.jobs, counted.attempts) == (6, 8)
    assert (counted.input_tokens, counted.output_tokens, str(counted.cost_usd)) == (18, 12, "3.0")


def test_without_a_model_the_bundled_one_is_called_whatever_keys_there_are() -> None:
    assert chosen_model(None, None, None, {"OPENAI_API_KEY": "k"}) is None


@pytest.mark.parametrize(
    ("arguments", "environ", "problem"),
    [
        ((None, "http://x/v1", None), NO_KEYS, "without a MODEL"),
        (("m", None, "1/2"), NO_KEYS, "no key"),
        (("m", None, None), {"OPENAI_API_KEY": "k"}, "never guessed"),
        (("m", None, "cheap"), {"OPENAI_API_KEY": "k"}, "is no price"),
        (("m", None, "-1"), {"OPENAI_API_KEY": "k"}, "is no price"),
        (("m", None, "nan/1"), {"OPENAI_API_KEY": "k"}, "is no price"),
    ],
)
def test_what_is_missing_for_a_real_model_is_named(
    arguments: tuple[str | None, str | None, str | None], environ: Mapping[str, str], problem: str
) -> None:
    with pytest.raises(StackError, match=problem):
        chosen_model(*arguments, environ)


def test_a_named_model_is_called_with_the_named_key_at_the_given_price(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "secret"}
    choice = chosen_model('odd "name"', None, "0.25/2.00", environ)
    assert choice is not None
    file = tmp_path / "models.toml"
    file.write_text(choice.toml)

    deployment = load_deployments(file, environ).get("demo")

    assert deployment is not None
    assert deployment.model == 'odd "name"'
    assert "secret" not in choice.toml + choice.words
    assert "$OPENAI_API_KEY" in choice.words
    assert "$0.25 in, $2.00 out" in choice.words


def test_a_key_for_openai_goes_to_openai_alone() -> None:
    environ = {"OPENAI_API_KEY": "theirs", "HEADRACE_MODEL_KEY": "mine"}
    elsewhere = "https://models.example/v1"
    with pytest.raises(StackError, match="no key"):
        chosen_model("m", elsewhere, "0", {"OPENAI_API_KEY": "theirs"})

    for base_url in (elsewhere, "http://127.0.0.1:9/v1", None):
        choice = chosen_model("m", base_url, "0", environ)
        assert choice is not None
        assert 'key_env = "HEADRACE_MODEL_KEY"' in choice.toml
    here = chosen_model("m", "http://127.0.0.1:9/v1", "0", {"OPENAI_API_KEY": "theirs"})
    assert here is not None
    assert "key_env" not in here.toml


def test_a_model_on_this_machine_is_priced_at_nothing_and_it_is_said() -> None:
    choice = chosen_model("m", "http://127.0.0.1:9/v1", None, NO_KEYS)

    assert choice is not None
    assert "priced at $0, for it runs on this machine" in choice.words
    assert tomllib.loads(choice.toml)["deployment"][0]["price"] == {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}


def test_somebodys_own_models_are_left_aside(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert keep_models_file(state, None) is None
    state.models_file.write_text(MODELS_TOML)
    assert keep_models_file(state, None) is None

    state.models_file.write_text("# mine")

    assert keep_models_file(state, None) == tmp_path / MODELS_FILE
    assert (tmp_path / MODELS_FILE).read_text() == MODELS_TOML
    assert state.models_file.read_text() == "# mine"
