"""Where the signing keys are."""

from actors.auth.keys import KeyStore
from config import Settings


def key_store(settings: Settings) -> KeyStore:
    """As the settings say. Production makes no key by itself."""
    return KeyStore(settings.data_dir, settings.signing_key_file, not settings.production)
