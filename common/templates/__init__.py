"""Sandboxed Jinja templates with budgets. The only place that knows Jinja2.

Shipped templates render in this process. Budgets stop what a careless template does; a template written to do
harm needs a process of its own.
"""

from common.templates.budget import DEFAULT_LIMITS, Limits
from common.templates.compiled import CompiledTemplate, compile_template
from common.templates.expression import CompiledExpression, compile_expression

__all__ = [
    "DEFAULT_LIMITS",
    "CompiledExpression",
    "CompiledTemplate",
    "Limits",
    "compile_expression",
    "compile_template",
]
