"""Contract data of vendors, read in place."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.contract.model_layer.openai_contract import OpenAIContract

CONTRACTS = Path(__file__).parents[4] / "shared" / "contracts"


@pytest.fixture(scope="session")
def contracts() -> Path:
    """The folder of vendors' contracts; skipped where absent, required in CI."""
    if not CONTRACTS.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the contract data (../shared/contracts) is absent, and CI requires it")
        pytest.skip("the contract data (../shared/contracts) is absent")
    return CONTRACTS


@pytest.fixture(scope="session")
def openai_contract(contracts: Path) -> OpenAIContract:
    return OpenAIContract(json.loads((contracts / "openai.openapi.reduced.json").read_bytes()))


@pytest.fixture(scope="session")
def sdk_chat_request(contracts: Path) -> dict[str, Any]:
    """What OpenAI's own client put on the wire for one chat completion."""
    captured = json.loads((contracts / "sdk_wire_requests.json").read_bytes())
    request: dict[str, Any] = captured["requests"]["openai.chat"]
    return request
