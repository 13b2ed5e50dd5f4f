"""Settings: what an operator may choose, and where each value came from."""

from config.errors import InsecureSettings, SettingsError
from config.loading import load_settings
from config.production import check_production
from config.settings import Settings, Source

__all__ = [
    "InsecureSettings",
    "Settings",
    "SettingsError",
    "Source",
    "check_production",
    "load_settings",
]
