"""Compiles a template and renders it to text within its budgets. Pure: no file, no clock, no settings."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, cast

from jinja2 import Template, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2 import TemplateError as JinjaError
from jinja2.runtime import Undefined

from common.errors import RenderError, TemplateError
from common.templates.budget import DEFAULT_LIMITS, Budget, BudgetError, Limits
from common.templates.environment import SandboxEnvironment
from common.templates.filters import BudgetedContext
from common.templates.rewrite import is_encodable

_ENVIRONMENT: Final = SandboxEnvironment()
_EXPRESSIONS_RAISE: Final = (
    JinjaError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    NameError,
    AssertionError,
    RuntimeError,
    MemoryError,
)
"""What a template's own expressions raise when an input is not as its author thought; Jinja asserts too."""


class CompiledTemplate:
    """A template ready to render, any number of times and in any thread."""

    __slots__ = ("_limits", "_template", "name", "source", "variables")

    def __init__(self, template: Template, name: str, source: str, variables: frozenset[str], limits: Limits) -> None:
        self._template = template
        self._limits = limits
        self.name = name
        self.source = source
        self.variables = variables
        """The variables it reads from outside."""

    def render(self, variables: Mapping[str, Any]) -> str:
        """Return the text. Raises RenderError naming the line and what is wrong."""
        with self._explained():
            return self._text(self._context(variables))

    def evaluate(self, variables: Mapping[str, Any], name: str) -> Any:
        """Return the value that the template sets ``name`` to, as a list if it is iterated over. Raises RenderError."""
        with self._explained():
            context = self._context(variables)
            self._text(context)
            value = context.vars.get(name)
            if isinstance(value, Iterator | KeysView | ValuesView | ItemsView | range):
                value = list(context.budget.counted(value))
            for each in value if isinstance(value, list | tuple) else (value,):
                if isinstance(each, Undefined):
                    str(each)  # raises, naming it
            return value

    def _context(self, variables: Mapping[str, Any]) -> BudgetedContext:
        context = cast("BudgetedContext", self._template.new_context(dict(variables)))
        context.budget = Budget(self._limits)
        return context

    def _text(self, context: BudgetedContext) -> str:
        left_chars = self._limits.output_chars
        parts: list[str] = []
        for part in self._template.root_render_func(context):
            left_chars -= len(part)
            if left_chars < 0:
                raise BudgetError(f"its text is longer than {self._limits.output_chars} characters")
            parts.append(part)
        return "".join(parts)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UndefinedError as error:
            raise self._failed("undefined_variable", error) from None
        except (BudgetError, RecursionError) as error:
            raise self._failed("render_budget", error) from None
        except _EXPRESSIONS_RAISE as error:
            raise self._failed("render_failed", error) from None

    def _failed(self, code: str, error: Exception) -> RenderError:
        line = self._line(error.__traceback__)
        reason = "it recurses too deep" if isinstance(error, RecursionError) else str(error)[:300]
        where = f"{self.name}, line {line}" if line else self.name
        return RenderError(code, f"{where}: {reason}")

    def _line(self, traceback: TracebackType | None) -> int:
        """Return the template's line on which the innermost of its frames stood."""
        line = 0
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self._template.filename:
                line = self._template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line


def compile_template(source: str, name: str, *, limits: Limits = DEFAULT_LIMITS) -> CompiledTemplate:
    """Return ``source`` compiled. ``name`` is what errors call it.

    Raises TemplateError, naming the line, if it does not parse or asks for what the sandbox forbids.
    """
    if not is_encodable(source):
        raise TemplateError(f"{name}: it is no text that UTF-8 could write; save it as UTF-8")
    try:
        tree = _ENVIRONMENT.parse(source, name, name)
        code = _ENVIRONMENT.compile(tree, name, name)
        # Last, for it folds the tree that it looks through.
        variables = meta.find_undeclared_variables(tree) - _ENVIRONMENT.globals.keys() - _assigned(tree)
    except TemplateSyntaxError as error:
        raise TemplateError(f"{name}, line {error.lineno}: {error.message}") from None
    except JinjaError as error:
        # What is constant is worked out on the way, and fails as it would in a render.
        raise TemplateError(f"{name}: {error.message}") from None
    except RecursionError:
        raise TemplateError(f"{name}: it nests too deep; take it apart") from None
    except (SyntaxError, ValueError, MemoryError) as error:
        # Python compiles what Jinja makes of it, and refuses what Jinja lets pass: an argument given twice, a number
        # of thousands of digits, twenty loops in one another. Its line is none of the template's.
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise TemplateError(f"{name}: {reason or 'it is too large'}") from None
    template = Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.make_globals(None))
    return CompiledTemplate(template, name, source, frozenset(variables), limits)


def _assigned(tree: nodes.Template) -> set[str]:
    """Return the names the template sets itself; Jinja takes those set in one branch for outside ones."""
    return {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
