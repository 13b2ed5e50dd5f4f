"""Texts from elsewhere, such as the messages of errors, as texts that every store can keep."""


def storable(text: str, characters_max: int) -> str:
    """The text, cut at `characters_max`, without what PostgreSQL or UTF-8 has no place for."""
    cut = text[:characters_max].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return cut.encode("utf-8", "replace").decode()
