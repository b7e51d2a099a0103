"""Recipes by content hash: from the folders this process loaded, else the published bundle, rebuilt once.

So a job runs the very version it was accepted with, also on a machine whose folders have moved on.
"""

import asyncio
from typing import Final

from common.errors import JobError, RecipeError
from common.ports import RecipeBundles
from common.recipes.catalogue import RecipeCatalogue
from common.recipes.recipe import Recipe, from_bundle

_MOST_REBUILT: Final = 256


class RecipeShelf:
    """Looks recipes up for a stage. What is rebuilt from a bundle is kept, the last few hundred of it."""

    def __init__(self, catalogue: RecipeCatalogue, bundles: RecipeBundles) -> None:
        self._catalogue = catalogue
        self._bundles = bundles
        self._rebuilt: dict[str, Recipe] = {}

    async def recipe(self, content_hash: str) -> Recipe:
        """Return the recipe. Raises JobError where nobody has published it, or DatabaseUnavailable."""
        found = self._catalogue.by_hash(content_hash) or self._rebuilt.get(content_hash)
        if found is not None:
            return found
        bundle = await self._bundles.bundle(content_hash)
        if bundle is None:
            raise JobError("recipe_unknown", f"no recipe with content hash {content_hash[:12]} is published")
        try:
            rebuilt = await asyncio.to_thread(from_bundle, bundle, content_hash[:12])
        except RecipeError as error:
            raise JobError("recipe_unusable", str(error)) from error
        while len(self._rebuilt) >= _MOST_REBUILT:
            del self._rebuilt[next(iter(self._rebuilt))]
        self._rebuilt[content_hash] = rebuilt
        return rebuilt
