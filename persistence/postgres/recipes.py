"""Published recipe versions: immutable, kept with their files, so that a job's version can always be rebuilt."""

import json
from collections.abc import Mapping

import orjson

from common.errors import RecipeError
from persistence.postgres.pool import Pool, connection


class PostgresRecipes:
    """``common.ports.RecipeRegistry`` and ``RecipeBundles`` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def publish(self, name: str, version: str, content_hash: str, bundle: Mapping[str, str]) -> None:
        """Publish a version once. Raises RecipeError where it stands with other content."""
        async with connection(self._pool) as lent:
            await lent.execute(
                "insert into recipes (name, version, content_hash, bundle) values ($1, $2, $3, $4)"
                " on conflict do nothing",
                name,
                version,
                content_hash,
                orjson.dumps(dict(bundle)).decode(),
            )
            standing = await lent.fetchval(
                "select content_hash from recipes where tenant_id = '*' and name = $1 and version = $2",
                name,
                version,
            )
        if standing != content_hash:
            raise RecipeError(
                f"recipe {name}@{version} is published with other content: a published version never changes;"
                " raise the version in its recipe.toml"
            )

    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        """Return the files of a published version."""
        async with connection(self._pool) as lent:
            found = await lent.fetchval("select bundle from recipes where content_hash = $1 limit 1", content_hash)
        files: dict[str, str] | None = json.loads(found) if found else None
        return files
