"""Recipes: immutable, versioned bundles of schemas, prompts and model policy, from folders or stored."""

from common.recipes.catalogue import RecipeCatalogue, load_catalogue, load_folder, shipped_recipes
from common.recipes.manifest import Manifest, Step
from common.recipes.recipe import Recipe, from_bundle

__all__ = [
    "Manifest",
    "Recipe",
    "RecipeCatalogue",
    "Step",
    "from_bundle",
    "load_catalogue",
    "load_folder",
    "shipped_recipes",
]
