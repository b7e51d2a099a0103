"""The prompt stage: step in, compiled conversation out; a re-ask is the same conversation with its wording added.

Inputs that do not travel with their message (large ones, and those of re-asks) are read from Postgres, once a
batch. A prompt that cannot be rendered ends its job: its completion carries the error and no model is called.
Compiling computes: between prompts the event loop is shared, or a batch of heavy templates would starve the heartbeat.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from common.clock import Clock, monotonic_clock
from common.contracts import Completion, FailedAnswer, Prompt, PromptPart, Step, decode
from common.errors import JobError, PoisonError, StrictJsonError
from common.inputs import inputs_in_parts
from common.kafka.consumer import Delivery
from common.kafka.producer import Record
from common.outcomes import Forward, Outcome, Reject
from common.pipeline import PROMPTS_OF, Topic
from common.ports import InputStore
from common.recipes.shelf import RecipeShelf
from common.schema import Violation, parse_json
from common.turns import Turns
from prompt_engine.compile import CompiledPrompt, compile_prompt, extend_prompt
from prompt_engine.reask import word_reask


class PromptStage:
    """``common.runner.BatchStage``."""

    def __init__(self, shelf: RecipeShelf, inputs: InputStore, clock: Clock = monotonic_clock) -> None:
        self._shelf = shelf
        self._inputs = inputs
        self._clock = clock

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Compile a batch. Raises DatabaseUnavailable when inputs or recipes cannot be read."""
        outcomes: list[Outcome | None] = [None] * len(batch)
        turns = Turns(self._clock)
        steps: dict[int, Step] = {}
        for place, delivery in enumerate(batch):
            await turns.share()
            try:
                steps[place] = decode(Step, delivery.value)
            except PoisonError as poison:
                outcomes[place] = Reject(str(poison), type(poison).__name__)
        absent: dict[UUID, list[int]] = {}
        for place, step in steps.items():
            await turns.share()
            if step.input is None:
                absent.setdefault(step.job_id, []).append(place)
            else:
                outcomes[place] = await self._compiled(step, {})
        async for job_ids, stored in inputs_in_parts(self._inputs, absent):
            for place in (place for job_id in job_ids for place in absent[job_id]):
                await turns.share()
                outcomes[place] = await self._compiled(steps[place], stored)
        return [outcome for outcome in outcomes if outcome is not None]

    async def _compiled(self, step: Step, stored: Mapping[UUID, bytes]) -> Outcome:
        try:
            recipe = await self._shelf.recipe(step.recipe_hash)
            text = step.input if step.input is not None else stored[step.job_id]
            compiled = compile_prompt(recipe, step.step, parse_json(text))
            if step.reask is not None:
                faults = [
                    Violation(v.pointer, v.keyword, v.message, v.expected, v.actual) for v in step.reask.violations
                ]
                added = word_reask(faults, step.reask.previous_answer, recipe.output.schema)
                compiled = extend_prompt(compiled, added)
        except JobError as error:
            return _failed(step, error.code, error.detail)
        except StrictJsonError as error:
            return _failed(step, "input_unreadable", str(error))
        except KeyError:
            return _failed(step, "input_missing", "the job's input is no longer stored")
        return _forward(step, compiled)


def _forward(step: Step, compiled: CompiledPrompt) -> Forward:
    prompt = Prompt(
        **step.reference(),
        messages=tuple(PromptPart(role=m.role, content=m.content) for m in compiled.messages),
        prompt_hash=compiled.prompt_hash,
        input_tokens_bound=compiled.tokens_estimate,
    )
    value = prompt.model_dump_json(exclude_none=True).encode()
    return Forward((Record(PROMPTS_OF[step.lane], str(step.job_id).encode(), value),))


def _failed(step: Step, code: str, detail: str) -> Forward:
    completion = Completion(**step.reference(), error=FailedAnswer(code=code, detail=detail))
    value = completion.model_dump_json(exclude_none=True).encode()
    return Forward((Record(Topic.COMPLETIONS, str(step.job_id).encode(), value),))
