"""API keys: made once, shown once, kept as the SHA-256 of a 256-bit secret."""

import hashlib
import re
import secrets
from collections.abc import Sequence

from common.errors import ConfigurationError
from common.ports import Principal
from persistence.postgres.pool import Pool, connection, transaction

SCOPES = frozenset({"jobs", "recipes", "operator"})
_TENANT = re.compile(r"[a-z][a-z0-9-]{0,62}")


def hash_key(secret: str) -> bytes:
    """Return what is stored of a key. A fast hash is right: the secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


class PostgresKeyStore:
    """``common.ports.KeyStore`` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def principal(self, key_hash: bytes) -> Principal | None:
        """Return who owns a key that is neither revoked nor expired."""
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(
                "select tenant_id, key_id, scopes from api_keys where key_hash = $1 and revoked_at is null"
                " and (expires_at is null or expires_at > now())",
                key_hash,
            )
        return Principal(row["tenant_id"], row["key_id"], frozenset(row["scopes"])) if row else None

    async def create(self, tenant_id: str, scopes: Sequence[str]) -> str:
        """Make a key (and the tenant, if new) and return its secret, which is not kept."""
        if not _TENANT.fullmatch(tenant_id):
            raise ConfigurationError(f"tenant {tenant_id!r} is not a name: use a-z, 0-9 and '-', at most 63 characters")
        if unknown := sorted(set(scopes) - SCOPES):
            raise ConfigurationError(f"unknown scope {unknown[0]!r}: use {', '.join(sorted(SCOPES))}")
        secret = "hr_" + secrets.token_urlsafe(32)
        async with transaction(self._pool) as lent:
            await lent.execute("insert into tenants (tenant_id) values ($1) on conflict do nothing", tenant_id)
            await lent.execute(
                "insert into api_keys (tenant_id, key_id, key_hash, scopes) values ($1, $2, $3, $4)",
                tenant_id,
                secrets.token_hex(6),
                hash_key(secret),
                sorted(set(scopes)),
            )
        return secret
