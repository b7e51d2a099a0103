"""The local model speaks the protocol that the model layer uses."""

import json
import urllib.request
from typing import Any

import jsonschema
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.llm]

CARD = {
    "type": "object",
    "properties": {
        "category": {"enum": ["library", "tool", "other"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["category", "stars"],
    "additionalProperties": False,
}


def post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


async def test_an_answer_keeps_to_the_schema_it_was_given(llm: str) -> None:
    answer = post(
        f"{llm}/chat/completions",
        {
            "model": "smollm2-135m",
            "temperature": 0,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Describe the Python package requests as JSON."}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "card", "schema": CARD}},
        },
    )

    assert answer["model"] == "smollm2-135m"
    assert answer["usage"]["completion_tokens"] > 0
    jsonschema.validate(json.loads(answer["choices"][0]["message"]["content"]), CARD)
