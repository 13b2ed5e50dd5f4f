"""The settings of the program, as the gateway gets them."""

import pytest

from cli.edge import gateway_settings
from config import SettingsError
from config.loading import load_settings
from runtime.policies import SheddingMode


def test_the_limit_on_concurrency_is_that_of_the_settings() -> None:
    flags = {"http_concurrency_min": "20", "http_concurrency_max": "30"}
    _, gateway = gateway_settings(load_settings(flags | {"http_shedding": "disabled"}, {}))
    gradient = gateway.shedding.gradient
    assert (gradient.limit_min, gradient.limit_start, gradient.limit_max) == (20, 30, 30)
    assert gateway.shedding_mode is SheddingMode.DISABLED


def test_by_default_shedding_is_automatic() -> None:
    _, gateway = gateway_settings(load_settings({}, {}))
    assert gateway.shedding_mode is SheddingMode.AUTOMATIC
    assert gateway.shedding.gradient.limit_min == 48


def test_bounds_of_concurrency_that_contradict_each_other_are_told() -> None:
    settings = load_settings({"http_concurrency_min": "2000"}, {})
    with pytest.raises(SettingsError, match=r"http_concurrency_min \(from .*: 2000 is more than"):
        gateway_settings(settings)


def test_a_limit_for_a_route_that_does_not_exist_is_told() -> None:
    settings = load_settings({"rate_limit_routes": "GET /nothing=5"}, {})
    with pytest.raises(SettingsError, match="there is no route GET /nothing"):
        gateway_settings(settings)
