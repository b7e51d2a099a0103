"""Which words of JSON Schema refer, which hold schemas, and which hold data that only looks like one."""

from typing import Final

REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})
"""They hold schemas by their names, or by patterns of names."""

HELD_BY_NAME: Final = BY_NAME | {"$defs", "definitions"}
"""All that hold schemas so, those among them that ask nothing of an instance."""

VALUES: Final = frozenset({"enum", "const", "default", "examples"})
