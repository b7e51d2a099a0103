"""The shelf rebuilds a recipe once from its bundle, and keeps no more of them than it has room for."""

from collections.abc import Mapping

from common.recipes import RecipeCatalogue, load_folder, shipped_recipes
from common.recipes.shelf import RecipeShelf

_RECIPE = load_folder(shipped_recipes() / "ticket-triage")


class Published:
    """All bundles there ever were; ``common.ports.RecipeBundles``."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        self.read.append(content_hash)
        return _RECIPE.bundle()


async def test_a_recipe_is_rebuilt_once_and_the_oldest_make_room() -> None:
    published = Published()
    shelf = RecipeShelf(RecipeCatalogue([]), published)

    for name in ("a", "a", *(f"b{number}" for number in range(256)), "a"):
        await shelf.recipe(name)

    assert published.read.count("a") == 2
    assert published.read.count("b255") == 1
