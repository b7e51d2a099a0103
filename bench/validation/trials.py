"""What came of asking a model, and of asking it once more where its answer was not accepted. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from common.contracts import Verdict, VerdictKind

ALL_RECIPES = "all"


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True)


class Call(_Found):
    """One call and its verdict. ``outcome``: strict, repaired, or what was wrong first, by its keyword or code."""

    accepted: bool
    outcome: str
    input_tokens: int = 0
    output_tokens: int = 0


class Trial(_Found):
    """One input: the first call, and the second where there was one.

    ``anew``: the second was asked as if for the first time, with more room, for the first was cut off.
    """

    recipe: str
    first: Call
    second: Call | None = None
    anew: bool = False


class Summary(_Found):
    """The figures of one recipe, or of all. Tokens are sums, as the server counted them.

    ``reasked``: sent back with the faults named; ``anew``: asked from the start with more room. ``reask_words_tokens``:
    by how much the prompts of re-asks are longer than those they follow.
    """

    recipe: str
    inputs: int
    strict: int
    repaired: int
    reasked: int
    reasked_mended: int
    anew: int
    anew_mended: int
    first_input_tokens: int
    first_output_tokens: int
    second_input_tokens: int
    second_output_tokens: int
    reask_words_tokens: int
    first_outcomes: Mapping[str, int]
    second_outcomes: Mapping[str, int]

    @property
    def refused(self) -> int:
        """How many first answers were not accepted."""
        return self.inputs - self.strict - self.repaired

    @property
    def seconds(self) -> int:
        """How many second calls there were."""
        return self.reasked + self.anew

    @property
    def added_share(self) -> float:
        """The tokens of all second calls, as a share of those of all first calls."""
        first = self.first_input_tokens + self.first_output_tokens
        return (self.second_input_tokens + self.second_output_tokens) / first if first else 0.0


def outcome_of(verdict: Verdict) -> str:
    """Return the kind of a verdict in one word."""
    if verdict.verdict is VerdictKind.ACCEPT:
        return "strict" if verdict.confidence == "strict" else "repaired"
    if verdict.violations:
        return verdict.violations[0].keyword
    return verdict.failure.code if verdict.failure is not None else verdict.verdict.value


def summed_up(recipe: str, trials: Sequence[Trial]) -> Summary:
    """Return the figures of some trials."""
    firsts = [trial.first for trial in trials]
    seconds = [trial.second for trial in trials if trial.second is not None]
    reasked = [(trial.first, trial.second) for trial in trials if trial.second is not None and not trial.anew]
    anew = [trial.second for trial in trials if trial.second is not None and trial.anew]
    return Summary(
        recipe=recipe,
        inputs=len(firsts),
        strict=sum(call.accepted and call.outcome == "strict" for call in firsts),
        repaired=sum(call.accepted and call.outcome != "strict" for call in firsts),
        reasked=len(reasked),
        reasked_mended=sum(second.accepted for _, second in reasked),
        anew=len(anew),
        anew_mended=sum(call.accepted for call in anew),
        first_input_tokens=sum(call.input_tokens for call in firsts),
        first_output_tokens=sum(call.output_tokens for call in firsts),
        second_input_tokens=sum(call.input_tokens for call in seconds),
        second_output_tokens=sum(call.output_tokens for call in seconds),
        reask_words_tokens=sum(second.input_tokens - first.input_tokens for first, second in reasked),
        first_outcomes=_counted(firsts),
        second_outcomes=_counted(seconds),
    )


def _counted(calls: Sequence[Call]) -> dict[str, int]:
    return dict(Counter(call.outcome for call in calls).most_common())


def by_recipe(trials: Sequence[Trial]) -> list[Summary]:
    """Return the figures of each recipe in order of appearance, and of all where there are several."""
    names = list(dict.fromkeys(trial.recipe for trial in trials))
    summaries = [summed_up(name, [trial for trial in trials if trial.recipe == name]) for name in names]
    return [*summaries, summed_up(ALL_RECIPES, trials)] if len(names) > 1 else summaries
