"""Middleware for any Starlette application, pure ASGI, and an interceptor that sends tokens.

``Middleware(RateLimit, rule=TokenBucket(100))`` goes where Starlette takes one: around an app, a
``Router`` or an invoke handler of daprflow, a Starlette route or mount. Durations are seconds or a
``timedelta``.
"""

from daprflow.middleware.api_token import ApiToken
from daprflow.middleware.client_credentials import ClientCredentials, StoredSecret, TokenUnavailable
from daprflow.middleware.correlation import Correlation, CorrelationHeader
from daprflow.middleware.error_handling import ErrorHandling
from daprflow.middleware.limits import RequestLimits
from daprflow.middleware.oidc import OidcBearer, RequireScopes
from daprflow.middleware.paths import DAPR_PATHS
from daprflow.middleware.problem import Problem
from daprflow.middleware.rate_keys import RateKey, by_caller, by_header, by_route
from daprflow.middleware.rate_limit import RateLimit
from daprflow.middleware.rate_rules import SlidingWindow, TokenBucket
from daprflow.middleware.rate_store import SharedCounts
from daprflow.middleware.transform import Transform

__all__ = [
    "DAPR_PATHS",
    "ApiToken",
    "ClientCredentials",
    "Correlation",
    "CorrelationHeader",
    "ErrorHandling",
    "OidcBearer",
    "Problem",
    "RateKey",
    "RateLimit",
    "RequestLimits",
    "RequireScopes",
    "SharedCounts",
    "SlidingWindow",
    "StoredSecret",
    "TokenBucket",
    "TokenUnavailable",
    "Transform",
    "by_caller",
    "by_header",
    "by_route",
]
