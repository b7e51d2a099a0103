"""Which model the demo calls, as a models.toml of its own. A real model is called only when one is named.

A price is never guessed (P5): for a model elsewhere it must be given; one on this machine is priced at 0, and
the demo says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import StackError
from headrace.local.services import MODELS_TOML
from headrace.local.state import State, write_private

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "HEADRACE_MODEL_KEY"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
MODELS_FILE = "models.demo.toml"
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A models.toml, and what a person is told about it."""

    toml: str
    words: str


def chosen_model(
    model: str | None, base_url: str | None, price: str | None, environ: Mapping[str, str]
) -> ModelChoice | None:
    """None: the bundled one. Raises StackError when something is missing."""
    if model is None:
        if base_url is not None or price is not None:
            raise StackError("A BASE_URL or PRICE without a MODEL says nothing.", "make demo MODEL=... BASE_URL=...")
        return None
    where = base_url or OPENAI_URL
    here = urlsplit(where).hostname in LOOPBACK_NAMES
    # A key for OpenAI is nobody else's business.
    is_openai = urlsplit(where).hostname == urlsplit(OPENAI_URL).hostname
    names = (KEY_VARIABLE, OPENAI_KEY_VARIABLE) if is_openai else (KEY_VARIABLE,)
    key_env = next((name for name in names if environ.get(name)), None)
    if key_env is None and not here:
        raise StackError(
            f"There is no key for {model} at {where}.", f"Put it into the environment as {' or '.join(names)}."
        )
    if price is None and not here:
        raise StackError(
            f"What {model} costs is not known, and a price is never guessed.",
            "Add PRICE=input/output in US dollars a million tokens, such as PRICE=0.25/2.00; PRICE=0 only if free.",
        )
    input_usd, output_usd = _prices(price or "0")
    key_line = f"key_env = {json.dumps(key_env)}\n" if key_env else ""
    toml = (
        f'default = "demo"\n\n[[deployment]]\nalias = "demo"\nmodel = {json.dumps(model)}\n'
        f"base_url = {json.dumps(where)}\n{key_line}"
        f"price = {{ input_usd_per_mtok = {input_usd}, output_usd_per_mtok = {output_usd} }}\n"
    )
    priced = f"${input_usd} in, ${output_usd} out a million tokens"
    if price is None:
        priced = "priced at $0, for it runs on this machine"
    with_key = f"with the key in ${key_env}" if key_env else "without a key"
    return ModelChoice(toml, f"Calls go to {model} at {where} {with_key}; {priced}.")


def _prices(text: str) -> tuple[Decimal, Decimal]:
    first, slash, second = text.partition("/")
    try:
        prices = Decimal(first), Decimal(second if slash else first)
    except InvalidOperation:
        prices = Decimal(-1), Decimal(-1)
    if not all(price.is_finite() and price >= 0 for price in prices):
        raise StackError(f"PRICE={text} is no price.", "PRICE=0.25/2.00: US dollars a million tokens, in and out.")
    return prices


def keep_models_file(state: State, choice: ModelChoice | None) -> Path | None:
    """The file that a stack started by the demo reads, if it is not the one that ``headrace up`` wrote.

    Somebody's own models.toml may name a model that costs money, so without a choice the bundled model's is used.
    """
    if choice is None and (not state.models_file.exists() or state.models_file.read_text() == MODELS_TOML):
        return None
    file = state.folder / MODELS_FILE
    write_private(file, choice.toml if choice is not None else MODELS_TOML)
    return file
