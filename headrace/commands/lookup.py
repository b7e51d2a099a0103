"""``headrace search`` and ``recipes``: what is there to be found and to be run."""

import json
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from headrace.commands.client import connect
from headrace.commands.screen import screen
from headrace.commands.tables import hit_text, plain_table

AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    for command in (search, recipes):
        app.command()(command)


def search(
    query: Annotated[str, typer.Argument(help="Words to look for in the outputs.")],
    recipe: Annotated[str | None, typer.Option(help="Only outputs of this recipe: name, or name@version.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=50)] = 10,
    as_json: AsJson = False,
) -> None:
    """Search the outputs, best match first. A new output is found about a second after its job has ended."""
    found = connect().get("/search", {"q": query, "recipe": recipe, "limit": limit})
    if as_json:
        _print_json(found)
        return
    console = screen()
    for hit in found["hits"]:
        console.print(hit_text(hit), soft_wrap=True)
    console.print(f"{found['total']} found.", style="dim", highlight=False)


def recipes(
    name: Annotated[str | None, typer.Argument(help="One recipe, with its schemas.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the recipes, or show one with its schemas."""
    api = connect()
    if name is not None:
        versions = api.get(f"/recipes/{quote(name, safe='')}")
        if as_json or not sys.stdout.isatty():
            _print_json(versions)
        else:
            Console().print_json(json.dumps(versions))
        return
    found = api.get("/recipes")
    if as_json:
        _print_json(found)
        return
    table = plain_table("recipe", "hash", "what it does")
    for recipe in found["recipes"]:
        table.add_row(recipe["reference"], recipe["content_hash"][:12], recipe["description"].strip())
    screen().print(table)


def _print_json(body: Any) -> None:
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
