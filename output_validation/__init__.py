"""The output gate: gets the JSON value out of an answer, checks it, decides what to do. Pure but for its stage."""

from common.schema import Violation, check
from output_validation.extract import extract
from output_validation.extraction import (
    ANYTHING,
    LOSSLESS,
    LOSSY,
    SET_ASIDE,
    STRICT_ONLY,
    Candidate,
    Confidence,
    Extraction,
    Place,
    Policy,
    Repair,
    RepairKind,
)

__all__ = [
    "ANYTHING",
    "LOSSLESS",
    "LOSSY",
    "SET_ASIDE",
    "STRICT_ONLY",
    "Candidate",
    "Confidence",
    "Extraction",
    "Place",
    "Policy",
    "Repair",
    "RepairKind",
    "Violation",
    "check",
    "extract",
]
