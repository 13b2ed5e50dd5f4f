"""Where the keys are: those that sign tokens, and those that seal personal data."""

from actors.auth.keys import KeyStore
from actors.core.data_keys import DataKeyStore
from config import Settings


def key_store(settings: Settings) -> KeyStore:
    """As the settings say. Production makes no key by itself."""
    return KeyStore(settings.data_dir, settings.signing_key_file, not settings.production)


def data_key_store(settings: Settings) -> DataKeyStore:
    """As the settings say. Production makes no key by itself."""
    file = settings.personal_data_key_file
    return DataKeyStore(settings.data_dir, file, not settings.production)
