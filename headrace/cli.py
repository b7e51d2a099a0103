"""The ``headrace`` command: a composition of command modules, and the one place where errors become words.

Errors of ours are one or two plain lines on stderr. Exit codes: commands/exit_codes.py.
"""

import os
import sys
from pathlib import Path

import typer

from common.errors import HeadraceError, RequestError, StackError
from headrace.commands import budgets, consume, control, database, demo, jobs, letters, lookup, stack, submit, validate
from headrace.commands.client import problem_words

MODULES = (stack, demo, submit, jobs, lookup, consume, control, budgets, letters, database, validate)


EXIT_CODES = (
    "Exit codes: 0 done; 1 it could not be done, or status and doctor found something wrong; 2 wrong usage; "
    "3 status: not running; 4 a job did not succeed or has no output, or validate refused; 130 Ctrl-C."
)


def build_app() -> typer.Typer:
    """Each command module registers its own commands."""
    app = typer.Typer(
        name="headrace",
        help="Durable LLM jobs in, schema-valid JSON out. Start here: headrace up",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in MODULES:
        module.register(app)
    return app


def main() -> None:
    """Console entry point."""
    _open_what_is_closed()
    try:
        build_app()()
    except StackError as error:
        sys.stderr.write(f"headrace: {error.problem}\n{error.mend}\n")
        sys.exit(1)
    except RequestError as error:
        sys.stderr.write(f"headrace: {problem_words(error)}\n")
        sys.exit(1)
    except HeadraceError as error:
        sys.stderr.write(f"headrace: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain when it flushes at exit.
        os._exit(0)
    except OSError as error:
        # As of a full disk under standard output. Python would say so again when it flushes at exit.
        sys.stderr.write(f"headrace: {error}\n")
        sys.stderr.flush()
        os._exit(1)


def _open_what_is_closed() -> None:
    """Let nothing come from, or go to, standard streams that the caller has closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for good
