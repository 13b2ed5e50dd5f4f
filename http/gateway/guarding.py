"""Platform staff are let in only when everything that could say no has been asked."""

from typing import Final

import structlog

from actors.auth.messages import GUARD, CheckStanding, Principal, Standing
from gateway.domains import Domains
from gateway.problems import Problem, unavailable
from gateway.revoked import REVOKED

log = structlog.get_logger("loyalnest.auth")

TIMEOUT_S: Final = 2.0
"""For a guard that does not answer at all. A cache that is away, or hangs, is told within its own
100 ms; a database that drags takes up to a second."""


async def check_standing(domains: Domains, principal: Principal) -> None:
    """Raises `Problem` unless a token of the platform is known to be in force: 401 for one that is
    revoked, 503 where that cannot be found out, whatever the reason."""
    question = CheckStanding(principal.token_id, principal.session_id)
    try:
        standing = await domains.ask(GUARD, question, timeout_s=TIMEOUT_S)
    except Exception as error:
        log.warning("standing_not_found_out", error=str(error)[:200], kind=type(error).__name__)
        standing = Standing.UNKNOWN
    if standing is Standing.REVOKED:
        raise Problem(401, "token_revoked", "the token was revoked; log in again", REVOKED)
    if standing is not Standing.GOOD:
        detail = "who is in good standing cannot be found out, so that nobody is let in"
        raise unavailable("authorisation_unavailable", detail)
