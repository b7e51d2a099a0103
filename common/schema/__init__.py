"""JSON and JSON Schema: strict parsing, fast checking, and faulty schemas explained. Pure."""

from common.schema.compiled import CompiledSchema, check, check_schema, compile_schema
from common.schema.down_convert import Converted, Dropped, down_convert
from common.schema.locate import values_within
from common.schema.profiles import PROFILES, SchemaProfile
from common.schema.strict_json import MAX_DEPTH, dump_json, parse_json
from common.schema.violations import MAX_VIOLATIONS, Json, Violation

__all__ = [
    "MAX_DEPTH",
    "MAX_VIOLATIONS",
    "PROFILES",
    "CompiledSchema",
    "Converted",
    "Dropped",
    "Json",
    "SchemaProfile",
    "Violation",
    "check",
    "check_schema",
    "compile_schema",
    "down_convert",
    "dump_json",
    "parse_json",
    "values_within",
]
