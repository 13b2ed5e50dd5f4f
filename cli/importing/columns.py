"""The columns of a file of orders, for a command that ends when it cannot find them."""

from actors.core.importing.columns import Layout, UnknownColumns
from actors.core.importing.columns import detect_layout as detect
from actors.core.importing.orders import ORDER_COLUMNS
from cli.errors import CommandFailed


def detect_layout(header: str) -> Layout:
    """The layout that fits a header line. Raises `CommandFailed` when none does."""
    try:
        return detect(header, ORDER_COLUMNS)
    except UnknownColumns as error:
        raise CommandFailed(str(error)) from None
