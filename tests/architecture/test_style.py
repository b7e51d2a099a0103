"""What style.md and CONTRIBUTING promise about the code, where a machine can hold it."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source_tree import EVERYTHING, Module, all_modules, functions

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60

# Where anything may be caught without being raised again, and why. Everywhere else errors have names.
ISOLATION_POINTS = {
    "common/coalesce.py": "the error of a shared flight is handed to every waiter",
    "common/runner.py": "one stage's bug sets one message aside, not the consumer",
    "ingestion/app.py": "one request's bug is logged and answered, and does not spread",
    "ingestion/group_commit.py": "a batch that fails for its data is bisected",
    "model_layer/providers/openai_chat.py": "an odd answer is paid for, and is kept with its attempt",
    "persistence/reconciler/reconciler.py": "a look that fails must not end the service that carries it",
    "persistence/relay/sessions.py": "closing a broken session must not hide why it broke",
}
IGNORING = re.compile(r"#\s*(noqa|type:\s*ignore)")
ARGUED = re.compile(r"#\s*(noqa:\s*[A-Z0-9, ]+|type:\s*ignore\[[a-z-]+\])\W+\w")
SPEAK_OF_MARKS = {
    "output_validation/tolerant_comment.py": "what comments in a model's answer take back",
    "tests/unit/validation/test_tolerant_comment.py": "the same",
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|pragma: no cover")


def test_no_module_is_too_long() -> None:
    lengths = {module.name: module.text.count("\n") for module in all_modules(*EVERYTHING)}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{module.name}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for module in all_modules(*EVERYTHING)
        for node in functions(module)
    }

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_every_module_says_what_it_is_for() -> None:
    said = {module.name: ast.get_docstring(module.tree) or "" for module in all_modules() if module.text.strip()}

    assert [name for name, text in said.items() if not text] == []
    assert [name for name, text in said.items() if text.startswith("placeholder")] == []


def test_nothing_is_left_unfinished() -> None:
    this = "tests/architecture/test_style.py"
    found = [
        f"{module.name}:{number}: {line.strip()}"
        for module in all_modules(*EVERYTHING)
        if module.name != this and module.name not in SPEAK_OF_MARKS
        for number, line in enumerate(module.text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert found == []


def test_everything_is_caught_only_at_named_isolation_points() -> None:
    found = {module.name for module in all_modules() for _ in swallowing_handlers(module)}

    assert found - ISOLATION_POINTS.keys() == set()


def swallowing_handlers(module: Module) -> Iterator[ast.ExceptHandler]:
    """Handlers of Exception or BaseException that may end without raising."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
            last = node.body[-1]
            if not (isinstance(last, ast.Raise) and last.exc is None):
                yield node


def is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(is_broad(each) for each in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def test_ignored_lint_findings_are_argued() -> None:
    """A ``noqa`` or ``type: ignore`` names its rule, and the reason stands behind it or in a comment just above."""
    found = [
        f"{module.name}:{number + 1}"
        for module in all_modules()
        for number, line in enumerate(module.text.splitlines())
        if IGNORING.search(line) and not is_argued(module.text.splitlines()[max(0, number - 2) : number], line)
    ]

    assert found == []


def is_argued(above: list[str], line: str) -> bool:
    return bool(ARGUED.search(line)) or any(each.strip().startswith("#") for each in above)
