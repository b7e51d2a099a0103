"""Routing: named, cheapest of a tier, default; and honest where there is no route."""

from decimal import Decimal

import pytest

from model_layer.deployments import Deployment, DeploymentCatalogue, Limits, Tier
from model_layer.pricing import Price, rate_from_usd
from model_layer.providers.scripted import ScriptedOptions
from model_layer.routing import NoRoute, NoRouteCode, RouteDecision, RoutePolicy, route


def _deployment(
    alias: str,
    tier: Tier,
    input_usd: str,
    output_usd: str,
    *,
    unavailable: str | None = None,
    context_tokens: int = 100_000,
) -> Deployment:
    rate = rate_from_usd(Decimal(input_usd))
    return Deployment(
        alias=alias,
        provider="scripted",
        model=alias,
        base_url=None,
        key_env=None,
        tier=tier,
        limits=Limits(context_tokens=context_tokens),
        price=Price(rate, rate_from_usd(Decimal(output_usd)), rate, "v"),
        options=ScriptedOptions(),
        unavailable=unavailable,
    )


CATALOGUE = DeploymentCatalogue(
    default="reads-cheaply",
    deployments=(
        _deployment("reads-cheaply", Tier.SMALL, "0.1", "9"),
        _deployment("writes-cheaply", Tier.SMALL, "5", "1"),
        _deployment("free-but-keyless", Tier.SMALL, "0", "0", unavailable="set ITS_KEY"),
        _deployment("away", Tier.LARGE, "1", "1", unavailable="set AWAY_KEY"),
    ),
)


@pytest.mark.parametrize("policy", [RoutePolicy(), RoutePolicy(deployment="default")])
def test_without_a_wish_the_default_serves(policy: RoutePolicy) -> None:
    assert route(policy, CATALOGUE) == RouteDecision("reads-cheaply", ("the default deployment",))


def test_a_named_deployment_serves_even_where_a_tier_is_asked_for_too() -> None:
    decision = route(RoutePolicy(deployment="writes-cheaply", tier=Tier.LARGE), CATALOGUE)
    assert decision == RouteDecision("writes-cheaply", ("named by the recipe",))


@pytest.mark.parametrize(
    ("read", "write", "expected"), [(10_000, 100, "reads-cheaply"), (100, 4_000, "writes-cheaply")]
)
def test_the_cheapest_of_a_tier_depends_on_the_request(read: int, write: int, expected: str) -> None:
    policy = RoutePolicy(tier=Tier.SMALL)
    decision = route(policy, CATALOGUE, input_tokens_bound=read, max_output_tokens=write)
    assert isinstance(decision, RouteDecision)
    assert decision.deployment == expected
    assert decision.reasons == ("cheapest of 2 in tier small",)


def test_a_tier_prefers_a_window_that_surely_holds_the_request_and_else_tries() -> None:
    small = _deployment("small-window", Tier.SMALL, "0", "0", context_tokens=1_000)
    large = _deployment("large-window", Tier.SMALL, "1", "1", context_tokens=10_000)
    catalogue = DeploymentCatalogue(default="small-window", deployments=(small, large))
    chosen = [
        route(RoutePolicy(tier=Tier.SMALL), catalogue, input_tokens_bound=bound, max_output_tokens=100)
        for bound in (900, 901, 50_000)
    ]
    names = [each.deployment for each in chosen if isinstance(each, RouteDecision)]
    assert names == ["small-window", "large-window", "small-window"]


@pytest.mark.parametrize(
    ("policy", "code", "mend", "told"),
    [
        (RoutePolicy("gone"), NoRouteCode.UNKNOWN_DEPLOYMENT, "models.toml", "the deployment 'gone' does not exist"),
        (RoutePolicy("away"), NoRouteCode.UNAVAILABLE, "set AWAY_KEY", "the deployment 'away' cannot be called now"),
        (
            RoutePolicy(tier=Tier.LARGE),
            NoRouteCode.UNAVAILABLE,
            "set AWAY_KEY",
            "no deployment of the tier 'large' can be called now",
        ),
        (
            RoutePolicy(tier=Tier.STANDARD),
            NoRouteCode.EMPTY_TIER,
            'tier = "standard"',
            "no deployment is of the tier 'standard'",
        ),
    ],
)
def test_no_route_is_a_value_that_says_how_to_mend_it_and_what_a_tenant_may_know(
    policy: RoutePolicy, code: NoRouteCode, mend: str, told: str
) -> None:
    decision = route(policy, CATALOGUE)
    assert isinstance(decision, NoRoute)
    assert decision.code is code
    assert mend in decision.reason
    assert decision.told == told


def test_of_a_default_that_is_away_a_tenant_is_not_told_the_name() -> None:
    decision = route(RoutePolicy(), CATALOGUE.model_copy(update={"default": "away"}))
    assert isinstance(decision, NoRoute)
    assert decision.told == "the default deployment cannot be called now"
