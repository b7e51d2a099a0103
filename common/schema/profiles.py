"""What each provider's strict mode takes of JSON Schema, as data. Sources and dates: the provider pages of each."""

from dataclasses import dataclass
from typing import Final

_BASE: Final = frozenset({"type", "enum", "const", "anyOf", "description", "title", "properties", "required", "items"})
_NUMBERS: Final = frozenset({"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


@dataclass(frozen=True, slots=True)
class SchemaProfile:
    """A provider's subset.

    ``keywords``: those it takes; others are dropped. ``all_required``: every property must be required, so that an
    optional one becomes one that may be null. ``typed``: every place must say what may stand there. ``closed``: every
    object must refuse other members. ``const_as_enum``: it knows no const. ``root_object``: the root must be an object
    without alternatives. ``min_items``: the largest minItems it takes. ``max_levels``, ``max_properties``: beyond them
    there is no strict form.
    """

    name: str
    keywords: frozenset[str]
    all_required: bool = False
    typed: bool = False
    closed: bool = True
    const_as_enum: bool = False
    root_object: bool = False
    min_items: int | None = None
    max_levels: int | None = None
    max_properties: int | None = None
    max_enum_values: int | None = None
    formats: frozenset[str] | None = None


_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})

OPENAI: Final = SchemaProfile(
    "openai",
    _BASE | _NUMBERS | {"additionalProperties", "minItems", "maxItems", "pattern", "format"},
    all_required=True,
    typed=True,
    root_object=True,
    max_levels=10,
    max_properties=5_000,
    max_enum_values=1_000,
    formats=_FORMATS,
)
ANTHROPIC: Final = SchemaProfile(
    "anthropic",
    _BASE | {"additionalProperties", "minItems", "format"},
    min_items=1,
    formats=_FORMATS | {"uri"},
)
GEMINI: Final = SchemaProfile(
    "gemini",
    _BASE - {"const"} | {"additionalProperties", "prefixItems", "minItems", "maxItems", "minimum", "maximum", "format"},
    closed=False,
    const_as_enum=True,
    formats=frozenset({"date-time", "date", "time", "duration"}),
)
GRAMMAR: Final = SchemaProfile(
    "grammar",
    _BASE
    | _NUMBERS
    | {"additionalProperties", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format"},
    closed=False,
)
"""Local servers that turn a schema into a grammar (llama.cpp, vLLM)."""

PROFILES: Final = {profile.name: profile for profile in (OPENAI, ANTHROPIC, GEMINI, GRAMMAR)}
