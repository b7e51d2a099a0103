"""Compiles a recipe's prompt for one input into the conversation sent to a model. Pure.

Templates see ``input`` and ``output_schema`` (the output schema as compact JSON).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from common.contracts import PromptPart
from common.errors import JobError
from common.recipes.recipe import Recipe
from common.schema import Json

# Chat templates put a handful of control tokens around each message and open the answer.
_TOKENS_AROUND_MESSAGE: Final = 16


@dataclass(frozen=True, slots=True)
class CompiledPrompt:
    """A conversation, its hash, and how many tokens it can be at most.

    ``prompt_hash``: SHA-256 in hex over the messages. ``tokens_estimate`` is an upper bound, for reserving
    money: tokenizers in use are byte-level or fall back to bytes, so a token covers at least one byte of UTF-8;
    usual text has a quarter of it. The output schema counts too: providers write it into the prompt.
    """

    messages: tuple[PromptPart, ...]
    prompt_hash: str
    tokens_estimate: int


def compile_prompt(recipe: Recipe, step_id: str, input_value: Json) -> CompiledPrompt:
    """Return the conversation of that step.

    Raises RenderError if a template cannot be rendered for this input, JobError if there is no such step.
    """
    if all(step.id != step_id for step in recipe.steps):
        raise JobError("step_unknown", f"{recipe.reference} has no step {step_id!r}")
    variables = {"input": input_value, "output_schema": recipe.output_schema_text}
    messages = [PromptPart(role="user", content=recipe.prompt.render(variables).strip())]
    if recipe.system is not None:
        system = recipe.system_text
        if system is None:
            system = recipe.system.render(variables).strip()
        if system:
            messages.insert(0, PromptPart(role="system", content=system))
    if not messages[-1].content:
        raise JobError("prompt_empty", f"{recipe.prompt.name} renders to nothing for this input")
    return _compiled(tuple(messages), len(recipe.output_schema_text.encode()))


def extend_prompt(compiled: CompiledPrompt, added: Sequence[PromptPart]) -> CompiledPrompt:
    """Return the conversation with ``added`` at its end, as a re-ask goes on."""
    schema_tokens = compiled.tokens_estimate - _tokens(compiled.messages)
    return _compiled((*compiled.messages, *added), schema_tokens)


def _compiled(messages: tuple[PromptPart, ...], schema_tokens: int) -> CompiledPrompt:
    prompt_hash = hashlib.sha256(orjson.dumps([(m.role, m.content) for m in messages])).hexdigest()
    return CompiledPrompt(messages, prompt_hash, _tokens(messages) + schema_tokens)


def _tokens(messages: Sequence[PromptPart]) -> int:
    return sum(len(m.content.encode()) + _TOKENS_AROUND_MESSAGE for m in messages)
