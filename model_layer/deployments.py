"""models.toml: which models may be called, where, within which limits and at which price.

`load_deployments` refuses what it does not understand and what has no price (P5); each error names the
file, the deployment, the key and the mend. It reads no keys: a deployment whose variables are missing is
kept, marked unavailable with the reason. docs/models.md is the reference.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError

from common.errors import ConfigurationError, UnpricedModelError
from model_layer.base_url import check_base_url
from model_layer.pricing import Price, rate_from_usd
from model_layer.provider import ProviderKind
from model_layer.providers import PROVIDERS

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# As recipes may write it.
_ALIAS = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}$"
_PRICE_MEND = "price = { input_usd_per_mtok = …, output_usd_per_mtok = … } (write 0 for a model that is free)"


class Tier(StrEnum):
    SMALL = "small"
    STANDARD = "standard"
    LARGE = "large"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Frozen):
    """Bounds of one deployment, for each model layer process."""

    concurrency: int = Field(default=64, ge=1, le=10_000)
    timeout_s: float = Field(default=120.0, gt=0, le=3_600)
    max_output_tokens: int = Field(default=4_096, ge=1)
    context_tokens: int = Field(default=128_000, ge=1)


def _rate(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("write a number of USD per million tokens")
    return rate_from_usd(Decimal(value))


_Rate = Annotated[int, BeforeValidator(_rate)]


class _PriceTable(_Frozen):
    """The price as written, each rate turned into nano-USD per million tokens."""

    input_usd_per_mtok: _Rate
    output_usd_per_mtok: _Rate
    cached_input_usd_per_mtok: _Rate | None = None
    version: str | None = Field(default=None, min_length=1, max_length=64)


class _DeploymentTable(_Frozen):
    """The keys every provider shares; the rest of the table belongs to the provider's own options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    provider: str = "openai_chat"
    model: str = Field(min_length=1, max_length=200)
    alias: str | None = Field(default=None, pattern=_ALIAS)
    base_url: str | None = None
    allow_http: bool = False
    key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    tier: Tier = Tier.STANDARD
    limits: Limits = Limits()
    price: _PriceTable


class Deployment(_Frozen):
    """One model at one place. ``unavailable`` says why it cannot be called now, and how to mend it."""

    alias: str
    provider: str
    model: str
    base_url: str | None
    key_env: str | None
    tier: Tier
    limits: Limits
    price: Price
    options: SerializeAsAny[BaseModel]
    unavailable: str | None = None


class DeploymentCatalogue(_Frozen):
    """All deployments in the order of the file. Aliases are unique; ``default`` is one of them."""

    deployments: tuple[Deployment, ...]
    default: str

    def get(self, alias: str) -> Deployment | None:
        return self._by_alias.get(alias)

    @cached_property
    def _by_alias(self) -> dict[str, Deployment]:
        return {each.alias: each for each in self.deployments}


def load_deployments(path: Path, environ: Mapping[str, str]) -> DeploymentCatalogue:
    """Read and check models.toml. Raises ConfigurationError, or UnpricedModelError for a missing price."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}). Copy models.example.toml there."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}. Mend the file there.") from error
    unknown = sorted(document.keys() - {"default", "deployment"})
    if unknown:
        raise ConfigurationError(
            f"{path}: unknown key {unknown[0]!r}. The top holds only `default` and [[deployment]] tables."
        )
    tables = document.get("deployment")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: names no deployment. Add a [[deployment]] table.")
    deployments = tuple(_deployment(table, path, environ) for table in tables)
    aliases = [each.alias for each in deployments]
    twice = sorted({alias for alias in aliases if aliases.count(alias) > 1})
    if twice:
        raise ConfigurationError(f"{path}: two deployments are called {twice[0]!r}. Give one another `alias`.")
    if "default" in aliases:
        raise ConfigurationError(
            f"{path}: a deployment is called 'default', which names whichever is. Give it another `alias`."
        )
    return DeploymentCatalogue(deployments=deployments, default=_default(document, aliases, path))


def _default(document: Mapping[str, Any], aliases: list[str], path: Path) -> str:
    default = document.get("default", aliases[0] if len(aliases) == 1 else None)
    if default is None:
        raise ConfigurationError(
            f'{path}: `default` is missing. Write default = "{aliases[0]}" (or another) above the tables.'
        )
    if default not in aliases:
        raise ConfigurationError(
            f"{path}: default = {default!r} is not a deployment. Write one of: {', '.join(aliases)}."
        )
    return str(default)


def _deployment(table: Mapping[str, Any], path: Path, environ: Mapping[str, str]) -> Deployment:
    where = f"{path}: deployment {table.get('alias') or table.get('model') or '(without model)'!r}"
    if "price" not in table:
        raise UnpricedModelError(f"{where} has no price. Write {_PRICE_MEND}.")
    try:
        common = _DeploymentTable.model_validate(table)
    except ValidationError as error:
        raise _refusal(error, where) from error
    kind = PROVIDERS.get(common.provider)
    if kind is None:
        raise ConfigurationError(
            f"{where}: provider = {common.provider!r} is unknown. Write one of: {', '.join(PROVIDERS)}."
        )
    try:
        options = kind.options.model_validate(common.model_extra or {})
    except ValidationError as error:
        raise _refusal(error, where) from error
    base_url, missing = _endpoint(common, kind, where, environ)
    return Deployment(
        alias=common.alias or _alias_of(common.model, where),
        provider=kind.name,
        model=common.model,
        base_url=base_url,
        key_env=common.key_env,
        tier=common.tier,
        limits=common.limits,
        price=_price(common.price),
        options=options,
        unavailable=f"{where} is unavailable: {missing}" if missing else None,
    )


def _alias_of(model: str, where: str) -> str:
    if re.fullmatch(_ALIAS, model) is None:
        raise ConfigurationError(f"{where}: the model's name cannot serve as an alias. Write `alias`.")
    return model


def _endpoint(
    table: _DeploymentTable, kind: ProviderKind, where: str, environ: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """The checked base URL, and what is missing in the environment."""
    if not kind.networked:
        if table.base_url is not None or table.key_env is not None:
            raise ConfigurationError(f"{where}: provider {kind.name!r} calls nobody. Remove `base_url` and `key_env`.")
        return None, None
    written = table.base_url or kind.default_base_url
    if written is None:
        raise ConfigurationError(f"{where}: `base_url` is missing. Write where its server listens.")
    if table.base_url is None and table.key_env is None:
        raise ConfigurationError(
            f"{where}: says neither `base_url` nor `key_env`. Write the variable that holds your key "
            f"({written} is then called), or the base_url of a server of your own."
        )
    unset = [name for name in _VARIABLE.findall(written) if not environ.get(name)]
    if unset:
        return None, f"its base_url names the environment variable {unset[0]}, which is not set. Set it."
    base_url = _VARIABLE.sub(lambda match: environ[match[1]], written)
    fault = check_base_url(base_url, allow_http=table.allow_http)
    if fault is not None:
        raise ConfigurationError(f"{where}: base_url {fault}")
    if table.key_env and not environ.get(table.key_env):
        return (
            base_url,
            f"the environment variable {table.key_env} (its `key_env`) is not set. Set it to the key.",
        )
    return base_url, None


def _price(table: _PriceTable) -> Price:
    cached = table.cached_input_usd_per_mtok
    rates = (
        table.input_usd_per_mtok,
        table.output_usd_per_mtok,
        table.input_usd_per_mtok if cached is None else cached,
    )
    digest = hashlib.sha256(repr(rates).encode()).hexdigest()[:12]
    return Price(*rates, version=table.version or f"rates-{digest}")


def _refusal(error: ValidationError, where: str) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return ConfigurationError(f"{where}: unknown key {key!r}. Remove it, or see docs/models.md for its name.")
    if first["type"] == "missing" and key.startswith("price."):
        return UnpricedModelError(f"{where}: `{key}` is missing. Write {_PRICE_MEND}.")
    return ConfigurationError(f"{where}: `{key}`: {first['msg']}. docs/models.md says what it takes.")
