"""What providers tell of texts: kept once for each text and word, and merged by rank."""

from datetime import datetime

from actors.outgoing.ports import TextStatus
from actors.referrals.message_queries import INSERT_STATUS, MERGE
from actors.referrals.messages import MessageState
from actors.referrals.model import RANKS
from runtime.storage import Entry, Write


def status_entry(merchant_id: str, told: TextStatus, now: datetime) -> Entry:
    """Breaks a constraint when the same was told before. A text that nobody has sent yet, as far
    as the database knows, is merged with this later."""
    state = MessageState(told.state.value)
    rank = RANKS[state]
    row = (merchant_id, told.provider_id, told.status, state.value, rank, told.detail, now)
    return Write(INSERT_STATUS, row), merge_write(merchant_id, told, now)


def merge_write(merchant_id: str, told: TextStatus, now: datetime) -> Write:
    """What is known already, or better, stays."""
    state = MessageState(told.state.value)
    row = (merchant_id, told.provider_id, state.value, RANKS[state], told.detail, now)
    return Write(MERGE, row)
