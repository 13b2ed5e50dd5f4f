"""Who may come in, how often, and what every answer tells a browser: before and after a route."""

import attrs
from werkzeug.exceptions import HTTPException

from actors.auth.messages import Principal
from gateway.addresses import ClientAddresses
from gateway.cors import Cors
from gateway.head import HEADERS_MAX, Head
from gateway.incoming import Incoming
from gateway.problems import Headers, Problem
from gateway.rate_limits import RateLimits
from gateway.routes import Answer, Route
from gateway.security import RawHeaders, common_headers
from gateway.settings import GatewaySettings
from runtime.policies.limiters import Limiter
from runtime.policies.limits import Limit, per_minute
from runtime.tallies import Counter


class Admission:
    """The same checks for every request, whatever it asks for."""

    def __init__(self, settings: GatewaySettings, limiter: Limiter, rejected: Counter) -> None:
        self.common_headers: RawHeaders = common_headers(settings.hsts_max_age_s)
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._cors = Cors(settings.cors_origins)
        self._limits = RateLimits(limiter, settings.rate_limits, rejected)
        self._target_max_bytes = settings.target_max_bytes

    def client(self, request: Incoming) -> str:
        """The address a request comes from."""
        return self._addresses.client(request.peer, request.headers)

    def check_size(self, request: Incoming) -> None:
        """Raises `Problem` for a request with too long a target, or too many headers."""
        if request.target_bytes > self._target_max_bytes:
            detail = f"the path and the query may have {self._target_max_bytes} bytes together"
            raise Problem(414, "target_too_long", detail)
        if len(request.headers) > HEADERS_MAX:
            detail = f"a request may have at most {HEADERS_MAX} headers"
            raise Problem(431, "too_many_headers", detail)

    async def unrouted(self, method: str, head: Head, address: str, error: HTTPException) -> Answer:
        """The answer to a preflight. Raises `Problem`, or the error of any other request."""
        await self._limits.stranger(address, "", None)
        answer = self._cors.preflight(method, head, error)
        if answer is None:
            raise error
        return answer

    async def stranger(self, address: str, route: Route, limit: Limit | None) -> Headers:
        """Count a request to a public route; headers for its answer. Raises `Problem`."""
        if route.unlimited:
            return ()
        return await self._limits.stranger(address, route.name, limit)

    async def caller(self, principal: Principal, route: Route, limit: Limit | None) -> Headers:
        """Count a request with a valid token; headers for its answer. Raises `Problem`."""
        return await self._limits.caller(principal, route.name, limit, personal=route.personal)

    async def failed_authentication(self, address: str) -> None:
        """Count a request without a valid token. Raises `Problem` after too many."""
        await self._limits.failed_authentication(address)

    def dressed(self, answer: Answer, head: Head, limits: Headers) -> Answer:
        """The answer with what it tells about origins and limits."""
        more = self._cors.headers(head)
        if not more and not limits:
            return answer
        return attrs.evolve(answer, headers=(*answer.headers, *more, *limits))


def route_limit(route: Route, settings: GatewaySettings) -> Limit | None:
    """The limit of a route for each merchant or address: that of the settings, else its own."""
    count = settings.rate_limits.routes.get(route.name, route.limit_per_minute)
    return per_minute(count) if count else None
