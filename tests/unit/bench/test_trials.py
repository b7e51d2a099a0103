"""How calls and re-asks are summed up, and which inputs are asked for."""

from uuid import UUID

import pytest

from bench.validation.reask import choose_inputs, parser
from bench.validation.trials import Call, Trial, by_recipe, outcome_of, summed_up
from common.contracts import FailedAnswer, Lane, Verdict, VerdictKind, ViolationNote
from common.recipes import RecipeCatalogue, load_catalogue, shipped_recipes

STRICT = Call(accepted=True, outcome="strict", input_tokens=100, output_tokens=20)
REPAIRED = Call(accepted=True, outcome="repaired", input_tokens=100, output_tokens=20)
WRONG = Call(accepted=False, outcome="required", input_tokens=100, output_tokens=20)
CUT = Call(accepted=False, outcome="truncated", input_tokens=100, output_tokens=320)
MENDED = Call(accepted=True, outcome="repaired", input_tokens=160, output_tokens=30)

TRIALS = [
    Trial(recipe="card", first=STRICT),
    Trial(recipe="card", first=REPAIRED),
    Trial(recipe="card", first=WRONG, second=MENDED),
    Trial(recipe="triage", first=WRONG, second=WRONG.model_copy(update={"input_tokens": 150})),
    Trial(recipe="triage", first=CUT, second=CUT, anew=True),
]


@pytest.fixture(scope="module")
def catalogue() -> RecipeCatalogue:
    return load_catalogue([shipped_recipes()])


def test_each_recipe_is_summed_up_and_all_of_them() -> None:
    card, triage, whole = by_recipe(TRIALS)

    assert (card.recipe, card.strict, card.repaired, card.refused) == ("card", 1, 1, 1)
    assert (card.reasked, card.reasked_mended, card.anew) == (1, 1, 0)
    assert (triage.reasked, triage.reasked_mended, triage.anew, triage.anew_mended) == (1, 0, 1, 0)
    assert (whole.recipe, whole.inputs, whole.seconds) == ("all", 5, 3)
    assert whole.first_outcomes == {"required": 2, "strict": 1, "repaired": 1, "truncated": 1}


def test_tokens_of_second_calls_are_apart_and_only_re_asks_lengthen_a_prompt() -> None:
    whole = by_recipe(TRIALS)[-1]

    assert (whole.first_input_tokens, whole.first_output_tokens) == (500, 400)
    assert (whole.second_input_tokens, whole.second_output_tokens) == (410, 370)
    assert whole.reask_words_tokens == 60 + 50
    assert whole.added_share == pytest.approx(780 / 900)


def test_one_recipe_needs_no_sum_and_nothing_gives_zero() -> None:
    assert [each.recipe for each in by_recipe(TRIALS[:3])] == ["card"]
    assert summed_up("none", []).added_share == 0.0


def make_verdict(kind: VerdictKind, **fields: object) -> Verdict:
    reference = {"tenant_id": "t", "job_id": UUID(int=1), "step": "s", "attempt": 1, "lane": Lane.STANDARD}
    return Verdict.model_validate({**reference, "recipe": "r@1.0.0", "recipe_hash": "h", "verdict": kind, **fields})


def test_an_outcome_is_how_the_value_was_got_or_what_was_wrong_first() -> None:
    note = ViolationNote(pointer="/a", keyword="type", message="m")
    failure = FailedAnswer(code="model_refused", detail="d")

    assert outcome_of(make_verdict(VerdictKind.ACCEPT)) == "strict"
    assert outcome_of(make_verdict(VerdictKind.ACCEPT, confidence="lossless-repair")) == "repaired"
    assert outcome_of(make_verdict(VerdictKind.REASK, violations=(note,))) == "type"
    assert outcome_of(make_verdict(VerdictKind.REJECT, failure=failure)) == "model_refused"


def test_examples_of_all_recipes_come_first_then_installed_distributions(catalogue: RecipeCatalogue) -> None:
    examples = sum(len(recipe.examples) for recipe in catalogue.list())

    chosen = choose_inputs(catalogue, (), examples + 2)

    assert {name for name, _ in chosen[:3]} == {recipe.name for recipe in catalogue.list()}
    assert [name for name, _ in chosen[examples:]] == ["package-card"] * 2
    assert all(catalogue_holds(catalogue, name, value) for name, value in chosen)


def test_a_chosen_recipe_stands_alone(catalogue: RecipeCatalogue) -> None:
    chosen = choose_inputs(catalogue, ["ticket-triage"], 24)

    assert {name for name, _ in chosen} == {"ticket-triage"}
    assert parser().parse_args([]).inputs == 24


def catalogue_holds(catalogue: RecipeCatalogue, name: str, value: object) -> bool:
    recipe = catalogue.get(name)
    return recipe is not None and recipe.input.is_valid(value)
