"""Recipes as the API shows them. Pure."""

from typing import Any

from common.recipes import Recipe, RecipeCatalogue


def recipe_list(catalogue: RecipeCatalogue) -> list[dict[str, Any]]:
    """Return every version of every recipe, by name, oldest version first."""
    return [_summary(catalogue, recipe) for recipe in catalogue.list()]


def recipe_versions(catalogue: RecipeCatalogue, name: str) -> list[dict[str, Any]]:
    """Return all versions of one recipe with their schemas, newest first."""
    return [
        {
            **_summary(catalogue, recipe),
            "input_schema": recipe.input.schema,
            "output_schema": recipe.output.schema,
        }
        for recipe in reversed(catalogue.list())
        if recipe.name == name
    ]


def _summary(catalogue: RecipeCatalogue, recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "version": recipe.version,
        "reference": recipe.reference,
        "description": recipe.description,
        "content_hash": recipe.content_hash,
        "newest": catalogue.get(recipe.name) is recipe,
    }
