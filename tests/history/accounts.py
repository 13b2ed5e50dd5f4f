"""Each account by itself: gapless sequences, and balances that are the replay from zero."""

from collections.abc import Iterator, Mapping, Sequence

from tests.history.values import (
    Acknowledged,
    Anomaly,
    Balance,
    Entry,
    FinalState,
    History,
    Rule,
)


def in_sequence(final: FinalState) -> dict[str, list[Entry]]:
    """The entries of each account in the order of their sequence."""
    accounts: dict[str, list[Entry]] = {account: [] for account in final.balances}
    for entry in sorted(final.entries, key=lambda entry: entry.sequence):
        accounts.setdefault(entry.account, []).append(entry)
    return accounts


def replayed(entries: Sequence[Entry]) -> list[Balance]:
    """The balance before the first entry, and after each one."""
    balances = [Balance()]
    for entry in entries:
        balances.append(balances[-1] + entry.change)
    return balances


def check_accounts(history: History, final: FinalState) -> Iterator[Anomaly]:
    """Sequences, balances of entries, balances told with answers, balances in the end."""
    at: dict[tuple[str, int], Balance] = {}
    for account, entries in in_sequence(final).items():
        yield from _sequence(account, entries)
        balances = replayed(entries)
        for entry, balance in zip(entries, balances[1:], strict=True):
            at[account, entry.sequence] = balance
            yield from _balance(entry, balance)
        if final.balances.get(account, Balance()) != balances[-1]:
            detail = f"the end is {final.balances.get(account)}, the replay {balances[-1]}"
            yield Anomaly(Rule.UNBALANCED, account, detail)
    yield from _told(history, at)


def _sequence(account: str, entries: Sequence[Entry]) -> Iterator[Anomaly]:
    for expected, entry in enumerate(entries, start=1):
        if entry.sequence != expected:
            yield Anomaly(Rule.GAP, account, f"{entry.sequence} where {expected} should be")
            return


def _balance(entry: Entry, balance: Balance) -> Iterator[Anomaly]:
    where = f"{entry.account}/{entry.sequence}"
    if entry.balance != balance:
        yield Anomaly(Rule.UNBALANCED, where, f"states {entry.balance}, the replay is {balance}")
    if min(balance.posted, balance.held, balance.available) < 0:
        yield Anomaly(Rule.OVERDRAWN, where, str(balance))


def _told(history: History, at: Mapping[tuple[str, int], Balance]) -> Iterator[Anomaly]:
    for operation in history.operations:
        told = operation.outcome
        if isinstance(told, Acknowledged):
            balance = at.get((operation.account, told.sequence))
            if balance is not None and balance != told.balance:
                detail = f"told {told.balance} at {told.sequence}, the replay is {balance}"
                yield Anomaly(Rule.STALE_ANSWER, operation.key, detail)
