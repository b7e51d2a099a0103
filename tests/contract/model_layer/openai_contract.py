"""OpenAI's published OpenAPI document as something to check bodies against."""

from typing import Any

import jsonschema


class OpenAIContract:
    """OpenAI's published schemas, as JSON Schema."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = _without_nullable(document["components"])

    def faults(self, component: str, instance: object) -> list[str]:
        """What is wrong with the instance; the contract allows unknown keys, `keys` finds those."""
        schema = {"$ref": f"#/components/schemas/{component}", "components": self._components}
        validator = jsonschema.Draft202012Validator(schema)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]

    def keys(self, component: str) -> set[str]:
        """Every property the component knows, through allOf and $ref."""
        return self._keys(self._components["schemas"][component])

    def _keys(self, schema: dict[str, Any]) -> set[str]:
        if "$ref" in schema:
            return self.keys(schema["$ref"].rsplit("/", 1)[1])
        known = set(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            known |= self._keys(part)
        return known


def _without_nullable(schema: Any) -> Any:
    """The document mixes OpenAPI 3.0's `nullable` into 3.1."""
    if isinstance(schema, list):
        return [_without_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _without_nullable(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain
