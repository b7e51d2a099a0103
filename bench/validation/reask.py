"""``python -m bench.validation reask`` asks a small real model without a grammar, and once more where that failed.

The prompt and validation stages are the ones that ship, fed by hand; the model is the local one of the one-machine
stack, on one thread. No schema is sent with a call: held to it by a grammar, no answer would be left to mend. One call
at a time.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.attended import attended
from bench.measure import Say
from bench.validation.trials import Call, Summary, Trial, by_recipe, outcome_of
from common.contracts import Completion, FailedAnswer, Lane, Prompt, Step, StepRef, Verdict, VerdictKind, decode
from common.errors import ProviderError, StackError
from common.kafka.consumer import Delivery
from common.outcomes import Forward, Outcome
from common.pipeline import STEPS_OF, Topic, topic_name
from common.recipes import RecipeCatalogue, load_catalogue, shipped_recipes
from common.recipes.shelf import RecipeShelf
from common.schema import Json, dump_json
from headrace.demo.packages import RECIPE as PACKAGE_RECIPE
from headrace.demo.packages import installed_packages, spread
from headrace.local.services import write_models_file
from headrace.local.stack import Stack
from model_layer.deployments import Deployment, load_deployments
from model_layer.provider import Message, ModelRequest, Provider, ProviderSetup
from model_layer.providers import PROVIDERS
from output_validation.metrics import VerdictMetrics
from output_validation.stage import ValidationStage
from prompt_engine.stage import PromptStage

_LLM: Final = "llm"
_WIDTH: Final = 120


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="python -m bench.validation reask", description=__doc__)
    top.add_argument(
        "--inputs", type=int, default=24, help="inputs in all: the recipes' examples, then installed distributions"
    )
    top.add_argument("--recipe", action="append", default=[], help="only this recipe; may be repeated")
    top.add_argument("--show", action="store_true", help="print each answer that was not accepted")
    top.add_argument("--json", type=Path, help="where to write the figures of each recipe")
    return top


class KeptInputs:
    """``common.ports.InputStore`` and ``RecipeBundles`` over what this run made itself."""

    def __init__(self) -> None:
        self.by_job: dict[UUID, bytes] = {}

    async def inputs(self, job_ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        return {job: self.by_job[job] for job in job_ids if job in self.by_job}

    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        """Return None: every recipe asked for is in the catalogue."""
        return None


def choose_inputs(catalogue: RecipeCatalogue, names: Sequence[str], count: int) -> list[tuple[str, Json]]:
    """Return (recipe, input): the examples, one of each recipe in turn, then distributions for package-card."""
    recipes = [recipe for recipe in catalogue.list() if not names or recipe.name in names]
    columns = [[(recipe.name, example) for example in recipe.examples.values()] for recipe in recipes]
    chosen: list[tuple[str, Json]] = [pair for pair in chain.from_iterable(zip_longest(*columns)) if pair is not None][
        :count
    ]
    if any(recipe.name == PACKAGE_RECIPE for recipe in recipes):
        packages = spread(installed_packages(), count - len(chosen))
        chosen += [(PACKAGE_RECIPE, package.as_input()) for package in packages]
    return chosen


@dataclass(frozen=True)
class Asking:
    """The two stages with the model between them."""

    catalogue: RecipeCatalogue
    kept: KeptInputs
    prompts: PromptStage
    verdicts: ValidationStage
    deployment: Deployment
    provider: Provider

    async def trial(self, name: str, value: Json, shown: Say | None) -> Trial:
        """Ask for one input, and once more where the verdict says so. Raises StackError if a stage takes offence."""
        recipe = self.catalogue.get(name)
        assert recipe is not None
        job = uuid4()
        self.kept.by_job[job] = dump_json(value)
        step = Step(
            tenant_id="bench",
            job_id=job,
            step=recipe.steps[0].id,
            attempt=1,
            lane=Lane.STANDARD,
            recipe=recipe.reference,
            recipe_hash=recipe.content_hash,
        )
        first, again = await self._attempt(step, shown)
        if again is None:
            return Trial(recipe=name, first=first)
        second, _ = await self._attempt(again, shown)
        return Trial(recipe=name, first=first, second=second, anew=again.reask is None)

    async def _attempt(self, step: Step, shown: Say | None) -> tuple[Call, Step | None]:
        [compiled] = _forwarded(await self.prompts.handle([_delivery(STEPS_OF[step.lane], step)]))
        if compiled[0] is Topic.COMPLETIONS:
            completion, tokens = decode(Completion, compiled[1]), (0, 0)
        else:
            completion, tokens = await self._answer(decode(Prompt, compiled[1]))
        records = dict(_forwarded(await self.verdicts.handle([_delivery(Topic.COMPLETIONS, completion)])))
        verdict = decode(Verdict, records.pop(Topic.VERDICTS))
        call = Call(
            accepted=verdict.verdict is VerdictKind.ACCEPT,
            outcome=outcome_of(verdict),
            input_tokens=tokens[0],
            output_tokens=tokens[1],
        )
        if shown is not None and not call.accepted:
            shown(f"{step.recipe}, attempt {step.attempt}: {call.outcome} {escape(repr(completion.text))}")
        following = [decode(Step, value) for value in records.values()]
        return call, following[0] if following and verdict.verdict is VerdictKind.REASK else None

    async def _answer(self, prompt: Prompt) -> tuple[Completion, tuple[int, int]]:
        """Call as the model layer does, within the deployment's limits. A failure is a completion with its code."""
        recipe = self.catalogue.by_hash(prompt.recipe_hash)
        assert recipe is not None
        policy, limits = recipe.step(prompt.step), self.deployment.limits
        request = ModelRequest(
            model=self.deployment.model,
            messages=tuple(Message(part.role, part.content) for part in prompt.messages),
            max_output_tokens=min(prompt.max_output_tokens or policy.max_output_tokens, limits.max_output_tokens),
            request_id=f"{prompt.job_id}/{prompt.attempt}",
            timeout_s=limits.timeout_s,
            temperature=policy.temperature,
        )
        try:
            answer = await self.provider.call(request)
        except ProviderError as error:
            failure = FailedAnswer(code=error.kind.value, detail=error.message)
            return Completion(**prompt.reference(), error=failure), (0, 0)
        usage = answer.usage
        completion = Completion(**prompt.reference(), text=answer.text, finish_reason=answer.finish_reason.value)
        return completion, (usage.input_tokens, usage.output_tokens) if usage is not None else (0, 0)


def _delivery(topic: Topic, message: StepRef) -> Delivery:
    value = message.model_dump_json(exclude_none=True).encode()
    return Delivery(topic, topic_name("headrace", topic), 0, 0, str(message.job_id).encode(), value, ())


def _forwarded(outcomes: Sequence[Outcome]) -> Iterator[tuple[Topic, bytes]]:
    for outcome in outcomes:
        assert isinstance(outcome, Forward), outcome
        for record in outcome.records:
            assert record.value is not None
            yield record.topic, record.value


async def run(options: argparse.Namespace, say: Say) -> list[Summary]:
    """Start the model, ask for every input, stop it. Raises StackError when there is nothing to ask or to start."""
    catalogue = load_catalogue([shipped_recipes()])
    known = {recipe.name for recipe in catalogue.list()}
    if strays := set(options.recipe) - known:
        raise StackError(f"There is no recipe {min(strays)}.", f"Choose from {', '.join(sorted(known))}.")
    chosen = choose_inputs(catalogue, options.recipe, max(1, options.inputs))
    with tempfile.TemporaryDirectory(prefix="headrace-reask-") as folder:
        async with Stack(Path(folder), (_LLM,), free_ports=True) as stack:
            write_models_file(stack.state)
            environment = {**os.environ, **stack.endpoints.environment()}
            found = load_deployments(stack.state.models_file, environment)
            deployment = found.get(found.default)
            assert deployment is not None
            kept = KeptInputs()
            shelf = RecipeShelf(catalogue, kept)
            asking = Asking(
                catalogue=catalogue,
                kept=kept,
                prompts=PromptStage(shelf, kept),
                verdicts=ValidationStage(shelf, kept, VerdictMetrics(CollectorRegistry())),
                deployment=deployment,
                provider=_provider(deployment),
            )
            trials: list[Trial] = []
            try:
                for number, (name, value) in enumerate(chosen, start=1):
                    trials.append(trial := await asking.trial(name, value, say if options.show else None))
                    then = f", then {trial.second.outcome}" if trial.second is not None else ""
                    say(f"{number} of {len(chosen)}: {name}: {trial.first.outcome}{then}")
            finally:
                await asking.provider.close()
    return by_recipe(trials)


def _provider(deployment: Deployment) -> Provider:
    setup = ProviderSetup(deployment.alias, deployment.model, deployment.base_url, None, 1, deployment.options)
    return PROVIDERS[deployment.provider].build(setup)


def show(console: Console, summaries: Sequence[Summary]) -> None:
    """Print the figures, a column a recipe."""
    table = Table("SmolLM2-135M, no grammar")
    for each in summaries:
        table.add_column(each.recipe, justify="right")
    columns = [_figures(each) for each in summaries]
    for name in columns[0] if columns else ():
        table.add_row(name, *(column[name] for column in columns))
    console.print(table)
    console.print("Tokens are prompt + completion. Anew: cut off, so asked from the start with more room.")


def _figures(found: Summary) -> dict[str, str]:
    inputs, seconds = found.inputs, found.seconds
    return {
        "inputs": str(inputs),
        "accepted at first, strict": _share(found.strict, inputs),
        "accepted at first, repaired": _share(found.repaired, inputs),
        "not accepted at first": _share(found.refused, inputs),
        "re-asked with the faults named": str(found.reasked),
        "  of these accepted": _share(found.reasked_mended, found.reasked),
        "asked anew with more room": str(found.anew),
        "  of these accepted ": _share(found.anew_mended, found.anew),
        "tokens of a first call": _tokens(found.first_input_tokens, found.first_output_tokens, inputs),
        "tokens of a second call": _tokens(found.second_input_tokens, found.second_output_tokens, seconds),
        "tokens a re-ask adds to its prompt": _mean(found.reask_words_tokens, found.reasked),
        "second calls' tokens, of first calls'": f"{found.added_share:.0%}",
        "first answers": _listed(found.first_outcomes),
        "second answers": _listed(found.second_outcomes),
    }


def _share(count: int, whole: int) -> str:
    return f"{count} ({count / whole:.0%})" if whole else "-"


def _mean(tokens: int, calls: int) -> str:
    return f"{tokens / calls:.0f}" if calls else "-"


def _tokens(read: int, written: int, calls: int) -> str:
    return f"{_mean(read, calls)} + {_mean(written, calls)}"


def _listed(outcomes: Mapping[str, int]) -> str:
    return "\n".join(f"{name} {count}" for name, count in outcomes.items()) or "-"


def main(words: Sequence[str]) -> int:
    """Ask as the command line says and return the exit code: 0 measured, 2 not."""
    options = parser().parse_args(words)
    summaries = attended(lambda say: run(options, say), Console(stderr=True))
    if summaries is None:
        return 2
    console = Console()
    show(console if console.is_terminal else Console(width=_WIDTH), summaries)
    if options.json is not None:
        text = "[" + ",\n ".join(each.model_dump_json() for each in summaries) + "]\n"
        options.json.write_text(text)
    return 0
