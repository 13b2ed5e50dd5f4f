"""The file `.env`: variables for development, beside those of the environment."""

import re
from pathlib import Path

from config.errors import SettingsError

DOTENV_FILE = ".env"
FILE_MAX_BYTES = 64 * 1024

LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*"""
    r"""(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<plain>[^\s'"#][^#]*?|))\s*(?:\s#.*)?"""
)


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables in a file of lines `NAME=value`; none when there is no such file.

    `export` before a name, quotes around a value, comments and empty lines are allowed; nothing
    is expanded. A `#` in a value needs quotes. Raises `SettingsError`, which tells the number of a
    wrong line and nothing of what is in it.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8 text") from None
    if len(raw) > FILE_MAX_BYTES:
        raise SettingsError(f"{path}: more than {FILE_MAX_BYTES} bytes")
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise SettingsError(f"{path}, line {number}: not NAME=value")
        variables[match["name"]] = match["single"] or match["double"] or match["plain"] or ""
    return variables
