"""What becomes of a template's syntax tree before it is compiled: the forbidden refused, what grows put on budgets.

The filters and tests that it is rewritten to stand in ``filters``.
"""

import math
from collections.abc import Callable
from typing import Any, Final, cast

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError

_FORBIDDEN: Final[dict[type[nodes.Node], str]] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from … import",
    nodes.Extends: "extends",
    nodes.Block: "block",
}


def refuse_forbidden(tree: nodes.Template, name: str | None, filename: str | None) -> None:
    """Raise TemplateAssertionError, naming the line, for what no template may hold."""
    for kind, word in _FORBIDDEN.items():
        found = tree.find(kind)
        if found is not None:
            raise TemplateAssertionError(f"{{% {word} %}} is not allowed", found.lineno, name, filename)
    for node in tree.find_all(nodes.Getattr):
        if node.attr.startswith("_"):
            reason = f"the attribute {node.attr!r} is private; a member of that name is written ['{node.attr}']"
            raise TemplateAssertionError(reason, node.lineno, name, filename)
    for constant in tree.find_all(nodes.Const):
        if (fault := _unwritable(constant.value)) is not None:
            raise TemplateAssertionError(fault, constant.lineno, name, filename)


def _unwritable(value: Any) -> str | None:
    """Return why a constant is nothing that a prompt could hold, None if it could."""
    if isinstance(value, float) and not math.isfinite(value):
        return "a number is too large; write one below 1.8e308"
    if isinstance(value, str) and not is_encodable(value):
        return "a text holds half of a character (\\ud800 to \\udfff); write the character itself"
    return None


def is_encodable(text: str) -> bool:
    """Return whether a text holds whole characters only, which alone can be sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def with_budgets(tree: nodes.Template) -> nodes.Template:
    """Rewrite loops to go round on the budget, ``~`` to join, ``in`` to search, ``==`` to compare, slices to cut."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = _filtered(loop.iter, "_counted")
    _replace_children(tree, _budgeted)
    return tree


def _budgeted(node: nodes.Node) -> nodes.Node:
    match node:
        case nodes.Concat():
            return _filtered(nodes.List(list(node.nodes), lineno=node.lineno), "_concat")
        case nodes.Compare(ops=[nodes.Operand(op="in" | "notin" as operator, expr=container)]):
            found = nodes.Test(node.expr, "in", [container], [], None, None, lineno=node.lineno)
            return found if operator == "in" else nodes.Not(found, lineno=node.lineno)
        case nodes.Getitem(arg=nodes.Slice()):
            return _filtered(node, "_made")
        case nodes.Compare(ops=[nodes.Operand(op="eq" | "ne" as operator, expr=other)]):
            found = nodes.Test(node.expr, "eq", [other], [], None, None, lineno=node.lineno)
            return found if operator == "eq" else nodes.Not(found, lineno=node.lineno)
        case _:
            return node


def _replace_children(parent: nodes.Node, replace: Callable[[nodes.Node], nodes.Node]) -> None:
    for field, value in parent.iter_fields():
        if isinstance(value, nodes.Node):
            _replace_children(value, replace)
            setattr(parent, field, replace(value))
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, nodes.Node):
                    _replace_children(child, replace)
                    value[index] = replace(child)


def _filtered(node: nodes.Node, filter_name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), filter_name, [], [], None, None, lineno=node.lineno)
