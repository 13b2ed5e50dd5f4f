"""What the auth domain says no with, as problems."""

from math import ceil
from typing import Any, Final

from actors.auth.messages import Denial, DenialKind
from gateway.problems import Problem, unavailable
from gateway.routes import accepted

BEARER: Final = (("www-authenticate", 'Bearer realm="loyalnest"'),)


def problem_of_denial(denial: Denial) -> Problem:
    """A denial as a problem, with what goes into its headers."""
    match denial.kind:
        case DenialKind.UNAUTHENTICATED:
            return Problem(401, denial.code, denial.detail, BEARER)
        case DenialKind.FORBIDDEN:
            return Problem(403, denial.code, denial.detail)
        case DenialKind.TRY_LATER:
            headers = (("retry-after", str(max(1, ceil(denial.retry_after_s)))),)
            return Problem(429, denial.code, denial.detail, headers)
        case DenialKind.BUSY:
            return unavailable(denial.code, denial.detail, denial.retry_after_s)


def let_in(result: Any) -> Any:
    """The result itself, unless it is a denial or a refusal. Raises `Problem`."""
    if isinstance(result, Denial):
        raise problem_of_denial(result)
    return accepted(result)
