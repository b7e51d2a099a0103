"""The registry of providers: a new one is one file here plus its row in PROVIDERS.

`build_provider` is for composition roots: it reads the deployment's key from the environment it is given,
and hands it to the provider and to nobody else.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from common.errors import ConfigurationError
from model_layer.provider import Provider, ProviderKind, ProviderSetup
from model_layer.providers import openai_chat, scripted

if TYPE_CHECKING:
    from model_layer.deployments import Deployment

PROVIDERS: Mapping[str, ProviderKind] = {kind.name: kind for kind in (openai_chat.KIND, scripted.KIND)}


def build_provider(deployment: "Deployment", environ: Mapping[str, str]) -> Provider:
    """The deployment's provider, not connected yet. ConfigurationError if the deployment is unavailable."""
    if deployment.unavailable is not None:
        raise ConfigurationError(deployment.unavailable)
    key = environ.get(deployment.key_env, "").strip() if deployment.key_env else ""
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            f"deployment {deployment.alias!r}: the key in {deployment.key_env} holds what no header can "
            "carry. Copy it again, without line breaks or typographic quotes."
        )
    return PROVIDERS[deployment.provider].build(
        ProviderSetup(
            alias=deployment.alias,
            model=deployment.model,
            base_url=deployment.base_url,
            api_key=SecretStr(key) if key else None,
            concurrency=deployment.limits.concurrency,
            options=deployment.options,
        )
    )
