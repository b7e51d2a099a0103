"""Which words of JSON Schema refer, which hold schemas, and which hold data that only looks like one."""

from typing import Final

REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})
"""They hold schemas of which each has a name, or a pattern of names."""

DEFINITIONS: Final = frozenset({"$defs", "definitions"})
VALUES: Final = frozenset({"enum", "const", "default", "examples"})
