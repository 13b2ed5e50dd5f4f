"""What is answered about customers."""

from actors.core.buyers import summarise_buyers
from actors.core.cipher import Vault
from actors.core.contacts import ContactKind, check_external_id, contact_key, search_name
from actors.core.customer_figures import find_customers, list_figures
from actors.core.customer_queries import (
    CUSTOMER_EXISTS,
    LIST_CUSTOMERS,
    SEARCH_BY_CONTACT,
    SEARCH_BY_EXTERNAL_ID,
    SEARCH_BY_NAME,
    SELECT_ALL_CONSENTS,
)
from actors.core.messages import (
    MAX_CONTACTS,
    MAX_EXPORTED_ORDERS,
    Channel,
    Consent,
    Customer,
    CustomerExport,
    ExportCustomer,
    FindCustomers,
    GetContacts,
    GetCustomer,
    HasCustomer,
    ListCustomers,
    ListFigures,
    SearchCustomers,
    SummariseBuyers,
)
from actors.core.mirrors import NEWEST
from actors.core.profiles import CachedCustomers, cached_customer, load_customers
from actors.core.queries import LIST_CUSTOMER_ORDERS
from actors.core.reaching import contacts
from actors.core.records import order_of
from actors.paging import clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime.storage import Database, Row

NAME_PART_MIN = 2
MAX_CONSENTS = 10_000

ONE_THING = Refusal(
    RefusalKind.INVALID,
    "search_by_one_thing",
    "search by exactly one of email, phone, external_id and name",
)
"""More would be a question that no index answers."""


CustomerQuestion = (
    GetCustomer
    | HasCustomer
    | ListCustomers
    | SearchCustomers
    | ExportCustomer
    | FindCustomers
    | ListFigures
    | GetContacts
    | SummariseBuyers
)


class CustomerReading:
    """Single customers come from the cache; lists and searches from the database.

    Raises what those do.
    """

    def __init__(self, database: Database, vault: Vault, cached: CachedCustomers) -> None:
        self._database = database
        self._vault = vault
        self._cached = cached

    async def answer(self, question: CustomerQuestion) -> object:
        match question:
            case GetCustomer():
                return await self._get(question.merchant_id, question.customer_id)
            case HasCustomer():
                values = (question.merchant_id, question.customer_id)
                return await self._database.fetch_value(CUSTOMER_EXISTS, *values) is not None
            case ListCustomers():
                return await self._list(question)
            case SearchCustomers():
                return await self._search(question)
            case ExportCustomer():
                return await self._export(question)
            case GetContacts():
                some = question.customer_ids[:MAX_CONTACTS]
                stored = await load_customers(self._database, question.merchant_id, some)
                return contacts(self._vault, stored.values(), question.channel)
            case FindCustomers():
                return await find_customers(self._database, question)
            case ListFigures():
                return await list_figures(self._database, question)
            case SummariseBuyers():
                return await summarise_buyers(self._database, question)

    async def _get(self, merchant_id: str, customer_id: str) -> Customer | None:
        found = await cached_customer(self._cached, self._database, merchant_id, customer_id)
        return found.opened(self._vault) if found is not None else None

    async def _list(self, message: ListCustomers) -> Page[Customer] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(LIST_CUSTOMERS, message.merchant_id, *after, limit + 1)
        return await self._page(message.merchant_id, rows, limit)

    async def _search(self, message: SearchCustomers) -> Page[Customer] | Refusal:
        asked = (message.email, message.phone, message.external_id, message.name)
        if sum(each is not None for each in asked) != 1:
            return ONE_THING
        if message.name is not None:
            return await self._search_name(message, message.name)
        if message.external_id is not None:
            external = message.external_id
            refusal = check_external_id(external)
            if refusal is not None:
                return refusal
            names = (external.source, external.external_id)
            rows = await self._database.fetch(SEARCH_BY_EXTERNAL_ID, message.merchant_id, *names)
            return await self._page(message.merchant_id, rows, 1)
        kind = ContactKind.EMAIL if message.email is not None else ContactKind.PHONE
        key = contact_key(kind, message.email or message.phone or "")
        if isinstance(key, Refusal):
            return key
        index = self._vault.contact_index(message.merchant_id, kind.value, key)
        rows = await self._database.fetch(SEARCH_BY_CONTACT, message.merchant_id, kind.value, index)
        return await self._page(message.merchant_id, rows, 1)

    async def _search_name(self, message: SearchCustomers, name: str) -> Page[Customer] | Refusal:
        part = search_name(name) or ""
        if len(part) < NAME_PART_MIN:
            detail = f"a part of a name has at least {NAME_PART_MIN} characters"
            return Refusal(RefusalKind.INVALID, "name_too_short", detail)
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(
            SEARCH_BY_NAME, message.merchant_id, *after, limit + 1, _containing(part)
        )
        return await self._page(message.merchant_id, rows, limit)

    async def _page(self, merchant_id: str, rows: list[Row], limit: int) -> Page[Customer]:
        shown = page(rows, limit, lambda row: str(row[0]), lambda row: [row[0]])
        stored = await load_customers(self._database, merchant_id, shown.items)
        customers = [stored[each].opened(self._vault) for each in shown.items if each in stored]
        return Page(tuple(customers), shown.next_cursor)

    async def _export(self, message: ExportCustomer) -> CustomerExport | None:
        merchant_id, customer_id = message.merchant_id, message.customer_id
        stored = await load_customers(self._database, merchant_id, (customer_id,))
        if customer_id not in stored:
            return None
        consents, orders = await self._database.fetch_many(
            [
                (SELECT_ALL_CONSENTS, (merchant_id, customer_id, MAX_CONSENTS)),
                (LIST_CUSTOMER_ORDERS, (merchant_id, *NEWEST, MAX_EXPORTED_ORDERS, customer_id)),
            ]
        )
        return CustomerExport(
            stored[customer_id].opened(self._vault),
            tuple(Consent(Channel(row[0]), row[1], row[2], row[3]) for row in consents),
            tuple(map(order_of, orders)),
        )


def _containing(part: str) -> str:
    """A pattern of LIKE, in which only the first and the last sign are special."""
    escaped = part.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"
