"""Reading bodies and queries: strict types, and a problem that says which field is wrong."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from actors import vocabulary
from actors.vocabulary import MAX_AMOUNT, MAX_PAGE
from gateway.problems import Problem

END = r"(?!\n)$"
"""The end of the text. A bare `$` would let a newline through."""

ID_PATTERN = f"^{vocabulary.ID_PATTERN}{END}"
TEXT_PATTERN = r"^[^\x00-\x1f\x7f]*" + END
CURRENCY_PATTERN = f"^{vocabulary.CURRENCY_PATTERN}{END}"
KEY_PATTERN = r"^[\x21-\x7e]{1,255}" + END
PROSE_PATTERN = r"^[^\x00]*$"
CURSOR_PATTERN = r"^[A-Za-z0-9_-]*" + END

SKU_PATTERN = f"^{vocabulary.SKU_PATTERN}{END}"

PATTERN_RULES = {
    repr(pattern): rule
    for pattern, rule in {
        ID_PATTERN: "of 1 to 64 of A-Z a-z 0-9 . _ : @ -, the first a letter or digit",
        TEXT_PATTERN: "without control characters",
        CURRENCY_PATTERN: "of three capital letters, as in ISO 4217",
        PROSE_PATTERN: "without the character NUL",
        KEY_PATTERN: "of 1 to 255 visible ASCII characters",
        CURSOR_PATTERN: "as it was given in `next_cursor`",
        SKU_PATTERN: "of 3 to 32 of A-Z 0-9 -, the first no hyphen",
    }.items()
}
"""What the patterns say, by how the validation's errors quote them."""

MATCHING = re.compile(r"matching regex (.+?)(?= - at `|$)")

NUMBER = re.compile(r"[-+.\d]+(e[-+]?\d+)?$", re.IGNORECASE)

QUERY_FIELDS_MAX = 20

Id = Annotated[str, Meta(pattern=ID_PATTERN, description="1 to 64 of A-Z a-z 0-9 . _ : @ -")]
Amount = Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
SignedAmount = Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT, description="not 0")]
Text = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN, description="no control characters"),
]
Currency = Annotated[str, Meta(pattern=CURRENCY_PATTERN, description="ISO 4217")]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339")]
Key = Annotated[str, Meta(pattern=KEY_PATTERN, description="1 to 255 visible ASCII characters")]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str, Meta(max_length=500, pattern=CURSOR_PATTERN)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of request bodies and queries. Unknown fields are refused."""


class NoQuery(Body, frozen=True):
    pass


class PageQuery(Body, frozen=True):
    limit: Limit = 50
    cursor: Cursor | None = None


Decode = Callable[[bytes], Any]


def body_decoder(type_: Any) -> Decode:
    """A function from raw bytes to a value of the type. It raises `Problem`."""
    decode = msgspec.json.Decoder(type_).decode

    def read(raw: bytes) -> Any:
        try:
            return decode(raw)
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(raw, error) from None

    return read


def query_decoder(type_: Any) -> Decode:
    """A function from a raw query string to a value of the type. It raises `Problem`."""
    defaults = msgspec.convert({}, NoQuery) if type_ is None else None
    instants = _instants_of(type_ or NoQuery)

    def read(raw: bytes) -> Any:
        if not raw and defaults is not None:
            return defaults
        try:
            fields = _fields(raw)
            _check_instants(fields, instants)
            return msgspec.convert(fields, type_ or NoQuery, strict=False)
        except msgspec.ValidationError as error:
            raise invalid(error) from None

    return read


@cache
def _instants_of(type_: Any) -> tuple[str, ...]:
    """The parameters that are points in time."""
    fields = msgspec.inspect.type_info(type_).fields  # type: ignore[attr-defined]
    return tuple(field.encode_name for field in fields if _is_instant(field.type))


def _is_instant(type_: msgspec.inspect.Type) -> bool:
    if isinstance(type_, msgspec.inspect.UnionType):
        return any(map(_is_instant, type_.types))
    if isinstance(type_, msgspec.inspect.Metadata):
        return _is_instant(type_.type)
    return isinstance(type_, msgspec.inspect.DateTimeType)


def _check_instants(fields: dict[str, str], instants: tuple[str, ...]) -> None:
    """A number would be taken as seconds since 1970."""
    for name in instants:
        if name in fields and NUMBER.match(fields[name]):
            raise msgspec.ValidationError(f"Invalid RFC3339 encoded datetime - at `$.{name}`")


def _fields(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError as error:
        raise Problem(400, "malformed_query", "the query string cannot be read") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem(422, "validation_failed", "a query parameter is given more than once")
    return fields


def invalid(error: msgspec.ValidationError) -> Problem:
    """A value that does not fit its type, as a problem that names the field."""
    code = "unknown_field" if "unknown field" in str(error) else "validation_failed"
    return Problem(422, code, _sentence(error))


def malformed(raw: bytes, error: Exception) -> Problem:
    """A body that is no JSON at all."""
    if not raw.strip():
        return Problem(400, "malformed_json", "the body is empty")
    if isinstance(error, UnicodeDecodeError):
        return Problem(400, "malformed_json", "the body is not UTF-8")
    return Problem(400, "malformed_json", _sentence(error))


def _sentence(error: Exception) -> str:
    """What is wrong, in words instead of a regular expression where it holds one."""
    text = MATCHING.sub(lambda match: PATTERN_RULES.get(match[1], match[0]), str(error))
    return text.encode("utf-8", "replace").decode()[:500]


def utc(moment: datetime, field: str) -> datetime:
    """The same moment in UTC. Raises `Problem` when it is too early or late to be told so."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Problem(422, "validation_failed", f"time out of range - at `$.{field}`") from None


def utc_or_none(moment: datetime | None, field: str) -> datetime | None:
    return utc(moment, field) if moment is not None else None
