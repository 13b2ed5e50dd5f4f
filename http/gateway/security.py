"""Headers that tell browsers what not to do with an answer."""

from typing import Final

RawHeaders = list[tuple[bytes, bytes]]

CSP: Final = "content-security-policy"
API_CSP: Final = (CSP.encode(), b"default-src 'none'; frame-ancestors 'none'")
"""Of answers that bring no policy of their own: nothing in them is ever run, shown or framed."""

YEAR_S: Final = 365 * 86_400


def common_headers(hsts_max_age_s: int) -> RawHeaders:
    """What every answer has. With a time it also tells browsers to come by TLS only."""
    headers = [
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]
    if hsts_max_age_s:
        headers.append((b"strict-transport-security", b"max-age=%d" % hsts_max_age_s))
    return headers
