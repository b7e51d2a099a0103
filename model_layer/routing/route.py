"""The routing decision: an alias as named, else the cheapest of a tier, else the default.

Cheapest means the smallest reservation for this very request, so a deployment that is dear on input does
not win a long prompt. A decision carries its reasons, for lineage and logs; having no route is a value too,
and a hold, which tells the job's tenant no more than what its recipe asks for.
"""

from dataclasses import dataclass
from enum import StrEnum

from model_layer.deployments import Deployment, DeploymentCatalogue, Tier
from model_layer.pricing import reservation

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """What a recipe asks for: an alias, or a tier; neither, or the alias `default`: the default."""

    deployment: str | None = None
    tier: Tier | None = None


@dataclass(frozen=True, slots=True)
class RouteDecision:
    deployment: str
    reasons: tuple[str, ...]


class NoRouteCode(StrEnum):
    UNKNOWN_DEPLOYMENT = "unknown_deployment"
    UNAVAILABLE = "deployment_unavailable"
    EMPTY_TIER = "empty_tier"


@dataclass(frozen=True, slots=True)
class NoRoute:
    """``reason`` says what is missing and how to mend it, to operators; ``told`` is what the job's tenant is shown."""

    code: NoRouteCode
    told: str
    reason: str


def route(
    policy: RoutePolicy,
    catalogue: DeploymentCatalogue,
    *,
    input_tokens_bound: int = 0,
    max_output_tokens: int = 1,
) -> RouteDecision | NoRoute:
    """Decide. The two token figures are the request's own bounds; they matter to tiers only."""
    if policy.deployment is not None and policy.deployment != DEFAULT:
        wanted = f"the deployment {policy.deployment!r}"
        return _named(policy.deployment, catalogue, "named by the recipe", wanted)
    if policy.tier is not None:
        return _cheapest(policy.tier, catalogue, input_tokens_bound, max_output_tokens)
    return _named(catalogue.default, catalogue, "the default deployment", "the default deployment")


def _named(alias: str, catalogue: DeploymentCatalogue, reason: str, wanted: str) -> RouteDecision | NoRoute:
    deployment = catalogue.get(alias)
    if deployment is None:
        known = ", ".join(each.alias for each in catalogue.deployments)
        return NoRoute(
            NoRouteCode.UNKNOWN_DEPLOYMENT,
            f"{wanted} does not exist",
            f"no deployment is called {alias!r}. Add it to models.toml, or name one of: {known}.",
        )
    if deployment.unavailable is not None:
        return NoRoute(NoRouteCode.UNAVAILABLE, f"{wanted} cannot be called now", deployment.unavailable)
    return RouteDecision(alias, (reason,))


def _cheapest(
    tier: Tier, catalogue: DeploymentCatalogue, input_tokens_bound: int, max_output_tokens: int
) -> RouteDecision | NoRoute:
    members = [each for each in catalogue.deployments if each.tier is tier]
    usable = [each for each in members if each.unavailable is None]
    if not usable:
        if members:
            told = f"no deployment of the tier {tier.value!r} can be called now"
            return NoRoute(NoRouteCode.UNAVAILABLE, told, members[0].unavailable or "")
        return NoRoute(
            NoRouteCode.EMPTY_TIER,
            f"no deployment is of the tier {tier.value!r}",
            f'no deployment has tier = "{tier}". Give it to one in models.toml.',
        )

    def output_cap(deployment: Deployment) -> int:
        return min(max_output_tokens, deployment.limits.max_output_tokens)

    def roomy(deployment: Deployment) -> bool:
        return input_tokens_bound + output_cap(deployment) <= deployment.limits.context_tokens

    def dearness(deployment: Deployment) -> int:
        return reservation(deployment.price, input_tokens_bound, output_cap(deployment))

    # The bound overestimates: where nothing is surely large enough, trying beats refusing.
    candidates = [each for each in usable if roomy(each)] or usable
    chosen = min(candidates, key=dearness)
    return RouteDecision(chosen.alias, (f"cheapest of {len(candidates)} in tier {tier}",))
