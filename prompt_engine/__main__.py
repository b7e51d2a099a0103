"""``python -m prompt_engine``: the composition root of the prompt stage."""

import asyncio

from common.process import serve
from common.settings import Settings
from persistence.compose import Parts, run_stage
from prompt_engine.stage import PromptStage

NAME = "prompt_engine"


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run the stage until ``stop`` is set."""

    async def build(parts: Parts) -> PromptStage:
        return PromptStage(parts.shelf, parts.parking)

    await run_stage(NAME, settings, stop, build)


if __name__ == "__main__":
    serve(NAME, main)
