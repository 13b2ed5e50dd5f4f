"""One line of a file of customers."""

from collections.abc import Sequence

from actors.core.contacts import EXTERNAL_ID, SOURCE, ContactKind, check_name, contact_key
from actors.core.importing.columns import Columns, Layout
from actors.core.importing.values import BadValue, id_value, split, yes_or_no
from actors.core.messages import Channel, CustomerData, ExternalId
from actors.vocabulary import Refusal

CUSTOMER_COLUMNS = Columns(
    names={
        "customer_id": ("customer_id", "customer", "member_id", "id"),
        "name": ("name", "display_name", "full_name"),
        "first_name": ("first_name", "given_name"),
        "last_name": ("last_name", "family_name", "surname"),
        "email": ("email", "e_mail", "email_address"),
        "phone": ("phone", "phone_number", "mobile"),
        "source": ("source",),
        "external_id": ("external_id",),
        "email_consent": ("email_consent", "accepts_email_marketing", "accepts_marketing"),
        "sms_consent": ("sms_consent", "accepts_sms_marketing"),
        "push_consent": ("push_consent",),
    },
    required=(("customer_id", "external_id"),),
)

DEFAULT_SOURCE = "import"
NAME_PARTS = ("first_name", "last_name")
CONSENTS = (
    ("email_consent", Channel.EMAIL),
    ("sms_consent", Channel.SMS),
    ("push_consent", Channel.PUSH),
)


class CustomerRows:
    """Turns the lines of one file into customers. What a column leaves empty says nothing."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._has_parts = not layout.places.keys().isdisjoint(NAME_PARTS)
        self._has_external_ids = "external_id" in layout.places
        self._consent_columns = [each for each in CONSENTS if each[0] in layout.places]

    def parse(self, line: str) -> CustomerData:
        """The customer in a line. Raises `BadValue`, which never quotes an address or number."""
        values = split_quietly(self._layout, line)
        value = self._layout.value
        customer_id = value(values, "customer_id")
        return CustomerData(
            customer_id=id_value("customer_id", customer_id.lstrip("'")) if customer_id else None,
            display_name=self._name(values),
            email=_contact(ContactKind.EMAIL, value(values, "email")),
            phone=_contact(ContactKind.PHONE, value(values, "phone").lstrip("'")),
            external_ids=self._external_ids(values, needed=not customer_id),
            consents=self._consents(values),
        )

    def _name(self, values: Sequence[str]) -> str | None:
        name = self._layout.value(values, "name")
        if not name and self._has_parts:
            parts = [self._layout.value(values, part) for part in NAME_PARTS]
            name = " ".join(filter(None, parts))
        refusal = check_name(name or None)
        if refusal is not None:
            raise BadValue("name", "", refusal.detail)
        return name or None

    def _external_ids(self, values: Sequence[str], *, needed: bool) -> tuple[ExternalId, ...]:
        text = self._layout.value(values, "external_id") if self._has_external_ids else ""
        if not text:
            if needed:
                raise BadValue("customer_id", "", "missing")
            return ()
        source = self._layout.value(values, "source") or DEFAULT_SOURCE
        if SOURCE.fullmatch(source) is None:
            raise BadValue("source", source, "not a short name in lower case")
        if EXTERNAL_ID.fullmatch(text) is None:
            raise BadValue("external_id", text, "not 1 to 128 visible characters")
        return (ExternalId(source, text),)

    def _consents(self, values: Sequence[str]) -> tuple[tuple[Channel, bool], ...]:
        told = []
        for name, channel in self._consent_columns:
            granted = yes_or_no(name, self._layout.value(values, name))
            if granted is not None:
                told.append((channel, granted))
        return tuple(told)


def split_quietly(layout: Layout, line: str) -> list[str]:
    """As `split`; the line is not quoted, as it tells who somebody is."""
    try:
        return split(layout, line)
    except BadValue as bad:
        raise BadValue("", "", bad.reason) from None


def _contact(kind: ContactKind, text: str) -> str | None:
    if not text:
        return None
    key = contact_key(kind, text)
    if isinstance(key, Refusal):
        raise BadValue(kind.value, "", key.detail)
    return text
