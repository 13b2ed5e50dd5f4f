"""The lookout: finds late deliveries that no outlet heard of."""

from collections.abc import Sequence

import structlog
import trio

from runtime.errors import ActorError
from runtime.outbox_store import OutboxStore
from runtime.outlet import AWAY, Outlet
from runtime.storage import StorageError
from runtime.system import ActorSystem
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.relay")

LOOK_S = 30.0
"""Between two looks: until this process took over the store, another one may have written late
deliveries that nobody here heard of."""

SOON_S = 1.0
"""The same, while the journal has not taken over yet."""


async def look_for_ever(system: ActorSystem, store: OutboxStore, outlets: Sequence[Outlet]) -> None:
    """Tell all outlets whether they have late deliveries. One question for all of them: nearly
    always the answer is no."""
    failures, trouble = 0, Trouble(log, "late_deliveries_not_seen", "late_deliveries_seen_again")
    while True:
        moves = {outlet.consumer: outlet.moves for outlet in outlets}
        try:
            owned = store.owned
            late = await store.late_consumers(tuple(moves))
            failures = 0
            trouble.ended()
            for outlet in outlets:
                outlet.hear(late=outlet.consumer in late, moves=moves[outlet.consumer])
            store.sure = owned
        except (ActorError, StorageError) as error:
            failures += 1
            trouble.failed(error)
        pause_s = LOOK_S if store.sure else SOON_S
        await trio.sleep(AWAY.delay_s(failures + 1, system.random) if failures else pause_s)
