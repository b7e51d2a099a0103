"""Evaluates one sandboxed expression over given variables, on the same budgets as a template. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from common.errors import TemplateError
from common.templates.budget import DEFAULT_LIMITS, Limits
from common.templates.compiled import CompiledTemplate, compile_template

_RESULT: Final = "expression_result"


class CompiledExpression:
    """An expression ready to evaluate, any number of times and in any thread."""

    __slots__ = ("_template", "source", "variables")

    def __init__(self, template: CompiledTemplate, source: str) -> None:
        self._template = template
        self.source = source
        self.variables = template.variables
        """The variables it reads."""

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """Return its value, a list instead of what is iterated over. Raises RenderError saying what is wrong."""
        return self._template.evaluate(variables, _RESULT)


def compile_expression(source: str, name: str, *, limits: Limits = DEFAULT_LIMITS) -> CompiledExpression:
    """Return ``source`` compiled. ``name`` is what errors call it. Raises TemplateError."""
    if "%}" in source or "{%" in source or "{{" in source:
        raise TemplateError(f"{name}: write an expression, without the braces of a template")
    return CompiledExpression(compile_template(f"{{% set {_RESULT} = ({source}) %}}", name, limits=limits), source)
