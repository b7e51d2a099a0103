"""Which deployment serves a call. Pure: the same catalogue and the same wish give the same answer."""

from model_layer.routing.route import NoRoute, NoRouteCode, RouteDecision, RoutePolicy, route

__all__ = ["NoRoute", "NoRouteCode", "RouteDecision", "RoutePolicy", "route"]
