"""The settings of the program in the terms of the gateway."""

from cli.version import program_version
from config import Settings, SettingsError, parsers
from gateway.addresses import proxies
from gateway.application import route_names
from gateway.listener import ListenerSettings
from gateway.rate_limits import RateLimitSettings
from gateway.settings import GatewaySettings
from runtime.policies import GradientSpec, SheddingMode, SheddingSpec

SENDS_PER_ANSWER = 3
"""Where HTTP/2 lets a client hold up a whole answer, it may do so for this many sends."""


def gateway_settings(settings: Settings) -> tuple[ListenerSettings, GatewaySettings]:
    """Raises `SettingsError` for what only the gateway can know to be wrong."""
    trusted = proxies(parsers.listed(settings.trusted_proxies))
    listener = ListenerSettings(
        bind=settings.http_bind,
        connections_max=settings.http_connections_max,
        connections_per_address_max=settings.http_connections_per_address_max,
        trusted_proxies=trusted,
        drain_s=settings.http_drain_s,
        head_timeout_s=settings.http_head_timeout_s,
        send_timeout_s=settings.http_send_timeout_s,
        answer_timeout_s=SENDS_PER_ANSWER * settings.http_send_timeout_s,
    )
    gateway = GatewaySettings(
        deadline_s=settings.request_timeout_s,
        body_timeout_s=settings.http_body_timeout_s,
        body_max_bytes=settings.body_max_bytes,
        batch_body_max_bytes=settings.batch_body_max_bytes,
        trusted_proxies=trusted,
        cors_origins=frozenset(parsers.listed(settings.cors_origins)),
        hsts_max_age_s=settings.hsts_max_age_s,
        rate_limits=RateLimitSettings(
            merchant_per_minute=settings.rate_limit_merchant_per_minute,
            customer_per_minute=settings.rate_limit_customer_per_minute,
            address_per_minute=settings.rate_limit_address_per_minute,
            routes=parsers.route_limits_of(settings.rate_limit_routes),
        ),
        shedding=_shedding(settings),
        shedding_mode=SheddingMode(settings.http_shedding),
        version=program_version(),
    )
    _check_routes(settings, gateway)
    return listener, gateway


def _shedding(settings: Settings) -> SheddingSpec:
    least, most = settings.http_concurrency_min, settings.http_concurrency_max
    if least > most:
        source = settings.sources["http_concurrency_min"]
        detail = f"{least} is more than http_concurrency_max, {most}"
        raise SettingsError(f"http_concurrency_min (from {source}): {detail}")
    start = min(2 * least, most)
    return SheddingSpec(gradient=GradientSpec(limit_min=least, limit_start=start, limit_max=most))


def _check_routes(settings: Settings, gateway: GatewaySettings) -> None:
    known = route_names(gateway)
    for name in sorted(gateway.rate_limits.routes.keys() - known):
        source = settings.sources["rate_limit_routes"]
        raise SettingsError(f"rate_limit_routes (from {source}): there is no route {name}")
