"""Settings: what an operator may choose, and where each value came from."""

from config.errors import SettingsError
from config.loading import load_settings
from config.settings import Settings, Source

__all__ = ["Settings", "SettingsError", "Source", "load_settings"]
