"""``python -m output_validation``: the composition root of the validation stage."""

import asyncio

from common.process import serve
from common.settings import Settings
from output_validation.metrics import VerdictMetrics
from output_validation.stage import ValidationStage
from persistence.compose import Parts, run_stage

NAME = "output_validation"


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Run the stage until ``stop`` is set."""

    async def build(parts: Parts) -> ValidationStage:
        return ValidationStage(parts.shelf, parts.parking, VerdictMetrics(parts.registry))

    await run_stage(NAME, settings, stop, build)


if __name__ == "__main__":
    serve(NAME, main)
