"""The chain of audit entries: what one changed field, one lost or one swapped entry does to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.admin_core.messages import AuditEntry, AuditRecord
from actors.admin_core.model import GENESIS, Head, entry_hash, fault, next_entry
from actors.admin_core.verification import Chains

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = AuditRecord(
    subject="ada",
    role="platform",
    action="breaker.force",
    target="database",
    before={"state": "closed", "for_s": None},
    after={"state": "forced_open", "for_s": 60},
    reason="a drill",
    trace_id="req_1",
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def chain(length: int, merchant_id: str | None = "flora") -> list[AuditEntry]:
    entries, head = [], Head()
    for number in range(length):
        at = NOW + timedelta(seconds=number)
        entry = next_entry(head, merchant_id, f"evt_{number}", at, RECORD)
        entries.append(entry)
        head = Head(entry.sequence, entry.hash)
    return entries


def broken(entries: list[AuditEntry]) -> list[tuple[str | None, int]]:
    chains = Chains()
    for entry in entries:
        chains.take(entry)
    return [(each.merchant_id, each.sequence) for each in chains.broken]


def other(value: Any) -> Any:
    match value:
        case str():
            return value + "x"
        case int():
            return value + 1
        case datetime():
            return value + timedelta(microseconds=1)
        case dict():
            return value | {"state": "disabled"}
    raise AssertionError(value)


@pytest.mark.parametrize("field", [each.name for each in attrs.fields(AuditEntry)])
def test_another_value_in_any_field_is_found(field: str) -> None:
    entries = chain(3)
    entries[1] = attrs.evolve(entries[1], **{field: other(getattr(entries[1], field))})
    assert broken(entries) != []


@pytest.mark.parametrize("field", ["before", "after", "reason", "trace_id"])
def test_a_value_that_is_taken_away_is_found(field: str) -> None:
    entries = chain(3)
    changes: dict[str, Any] = {field: None}
    entries[1] = attrs.evolve(entries[1], **changes)
    assert broken(entries) == [("flora", 2)]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_entry_is_found_unless_it_was_the_last(lost: int) -> None:
    entries = chain(4)
    del entries[lost]
    assert broken(entries) == [("flora", lost + 2)]


def test_entries_in_another_order_are_found() -> None:
    first, second, third = chain(3)
    assert broken([first, third, second]) != []


def test_an_entry_that_was_made_anew_does_not_fit_the_next() -> None:
    first, second, third = chain(3)
    head = Head(first.sequence, first.hash)
    forged = next_entry(head, "flora", second.entry_id, NOW, attrs.evolve(RECORD, subject="bob"))
    assert broken([first, forged, third]) == [("flora", 3)]


def test_chains_do_not_matter_to_each_other() -> None:
    one, other_ = chain(3, None), chain(3, "rival")
    del other_[1]
    assert broken([*one, *other_, *chain(2)]) == [("rival", 3)]


def test_an_entry_of_another_chain_does_not_fit() -> None:
    (mine,) = chain(1)
    assert fault(Head(), attrs.evolve(mine, merchant_id="rival")) is not None


def test_the_hash_of_an_entry_is_what_it_was_when_the_chain_was_invented() -> None:
    """Entries that are stored can be verified for ever."""
    assert chain(1)[0].hash == ("278a39d7feed87c393a9dd39cbc69a94c7b968f487cd0e7f6e95bf81a31839aa")


@given(json_values, json_values)
def test_what_a_store_does_to_the_order_of_keys_does_not_matter(before: Any, after: Any) -> None:
    def reordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reordered(value[key]) for key in reversed(list(value))}
        return [reordered(each) for each in value] if isinstance(value, list) else value

    record = attrs.evolve(RECORD, before=before, after=after)
    entry = next_entry(Head(), None, "evt_1", NOW, record)
    again = attrs.evolve(entry, before=reordered(before), after=reordered(after))
    assert entry_hash(GENESIS, again) == entry.hash
    assert fault(Head(), again) is None
