"""Messages are values: frozen, and public ones compatible with what was published before."""

import inspect

from pydantic import BaseModel

import common.contracts
from common.contracts import internal, public


def models() -> set[type[BaseModel]]:
    found = {
        member
        for module in (common.contracts, internal, public)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, BaseModel) and member is not BaseModel
    }
    assert found
    return found


def test_every_message_is_frozen() -> None:
    assert [model.__name__ for model in models() if not model.model_config.get("frozen")] == []


def test_every_message_reads_fields_it_does_not_know() -> None:
    """A newer writer may add fields; an older reader goes on."""
    assert [model.__name__ for model in models() if model.model_config.get("extra") != "ignore"] == []
