"""The points model: pure decisions over an account's ledger. No I/O, clock or randomness."""

from actors.points.decide import Context, Decision, business_key, decide
from actors.points.evolve import evolve, replay
from actors.points.ledger import GENESIS, Posted, Posting, Transaction, seal
from actors.points.posting import Moment
from actors.points.reversals import Original, original_of, root_of
from actors.points.settle import next_due, settle
from actors.points.state import AccountState, Hold, Lot, Promise, empty

__all__ = [
    "GENESIS",
    "AccountState",
    "Context",
    "Decision",
    "Hold",
    "Lot",
    "Moment",
    "Original",
    "Posted",
    "Posting",
    "Promise",
    "Transaction",
    "business_key",
    "decide",
    "empty",
    "evolve",
    "next_due",
    "original_of",
    "replay",
    "root_of",
    "seal",
    "settle",
]
