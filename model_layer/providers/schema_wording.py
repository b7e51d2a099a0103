"""Words a recipe's schema for a provider: as its profile takes it, else whole and unstrict. Pure.

A schema whose strict form has optional members as null is sent whole too: the answer would hold nulls that the
schema refuses. Whatever is sent, the answer is checked against the full schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.schema import Dropped, SchemaProfile, down_convert

WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class Wording:
    """What is sent, and what of the schema the provider will not enforce or why there is no strict form."""

    strict: bool
    schema: Mapping[str, Any]
    dropped: tuple[Dropped, ...] = ()


def word_schema(schema: Mapping[str, Any], profile: SchemaProfile | None) -> Wording:
    """Return ``schema`` as ``profile`` takes it; without a profile as it is."""
    if profile is None:
        return Wording(True, schema)
    converted = down_convert(schema, profile)
    if converted.schema is None or converted.nullable:
        return Wording(False, schema, converted.dropped)
    return Wording(True, converted.schema, converted.dropped)
