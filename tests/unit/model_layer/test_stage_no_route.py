"""Jobs that no deployment can serve: tenants are told what their recipe asks for, the log how to mend it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.contracts import Prompt
from common.kafka.consumer import Delivery
from common.outcomes import Hold
from common.pipeline import Topic
from common.recipes import load_catalogue, shipped_recipes
from common.recipes.shelf import RecipeShelf
from model_layer.deployments import load_deployments
from model_layer.lease import Lease
from model_layer.stage import ModelStage
from tests.unit.model_layer.test_stage_twins import LedOn, NoBundles, first

__all__ = ["first"]

MODELS = """
default = "house-model"
[[deployment]]
model = "house-model"
key_env = "HOUSE_KEY"
price = { input_usd_per_mtok = 1, output_usd_per_mtok = 1 }
[[deployment]]
model = "spare-model"
provider = "scripted"
price = { input_usd_per_mtok = 1, output_usd_per_mtok = 1 }
"""


@pytest.mark.parametrize(
    ("model", "told", "mend"),
    [
        (None, "deployment_unavailable: the default deployment cannot be called now", "HOUSE_KEY"),
        ("gone", "unknown_deployment: the deployment 'gone' does not exist", "spare-model"),
    ],
)
async def test_a_hold_shows_no_more_than_the_recipe_asks_for(
    first: Prompt, tmp_path: Path, model: str | None, told: str, mend: str
) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MODELS)
    ledger = LedOn()
    stage = ModelStage(
        shelf=RecipeShelf(load_catalogue([shipped_recipes()]), NoBundles()),
        catalogue=load_deployments(path, {}),
        providers={},
        ledger=ledger,
        lease=Lease(ledger, 10.0, lambda: 0.0),
    )
    value = first.model_copy(update={"model": model}).model_dump_json().encode()

    with capture_logs() as logged:
        outcomes = [
            await stage.handle_one(Delivery(Topic.PROMPTS_STANDARD, "prompts", 0, n, b"key", value, ())) for n in (1, 2)
        ]

    assert [outcome.message.reason for outcome in outcomes if isinstance(outcome, Hold)] == [told, told]
    assert [line["event"] for line in logged] == ["no route"]
    assert mend in logged[0]["reason"]
