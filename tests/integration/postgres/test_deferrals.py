"""The outcomes of deferred earnings on PostgreSQL, under the application's role."""

from datetime import UTC, datetime, timedelta

import pytest

from actors.points.deferral_messages import DeferralStatus
from actors.points.deferral_records import (
    DeferredRecord,
    deferral_write,
    find_deferrals,
    queued,
)
from actors.points.deferral_replay import ended
from actors.points.messages import Balance, Earn, Receipt
from actors.points.queries import DELETE_OLD_DEFERRALS
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime import host
from runtime.storage.postgres import PostgresDatabase

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECEIPT = Receipt("tx_1", "ann", 1, "earn", 5, Balance(5, 0, 5, 0), NOON)
REFUSED = Refusal(RefusalKind.NOT_FOUND, "customer_unknown", "there is no customer ann")


def record(number: int, merchant_id: str = "shop") -> DeferredRecord:
    earn = Earn(idempotency=Idempotency(f"key-{number}", "print"), amount=5, reason="test")
    return DeferredRecord(
        deferral_id=f"def_{number}",
        merchant_id=merchant_id,
        customer_id="ann",
        deferred_at=NOON,
        earn=earn,
    )


async def test_what_has_ended_never_changes_and_attempts_are_counted(
    app: PostgresDatabase,
) -> None:
    one, two = record(1), record(2)
    await app.append([(deferral_write(one, queued(one, 1)),), (deferral_write(two, queued(two)),)])
    found = await find_deferrals(app, "shop", ["def_1", "def_2", "def_3"])
    assert {name: known.attempts for name, known in found.items()} == {"def_1": 1, "def_2": 0}
    refused, applied = ended(one, REFUSED, NOON), ended(two, RECEIPT, NOON)
    await app.append([(deferral_write(one, refused),), (deferral_write(two, applied),)])
    too_late = ended(one, RECEIPT, NOON + timedelta(days=1))
    await app.append([(deferral_write(one, too_late),)])
    found = await find_deferrals(app, "shop", ["def_1", "def_2"])
    assert found["def_1"].deferral == refused.deferral
    assert found["def_2"].deferral == applied.deferral
    assert found["def_2"].deferral.status is DeferralStatus.APPLIED
    assert await find_deferrals(app, "rival", ["def_1", "def_2"]) == {}


async def test_old_outcomes_of_all_merchants_go_and_what_waits_stays(
    app: PostgresDatabase,
) -> None:
    old, new, waiting = record(1), record(2, "rival"), record(3)
    rivals_old = record(4, "rival")
    later = NOON + timedelta(days=1)
    for kept, known in (
        (old, ended(old, RECEIPT, NOON)),
        (rivals_old, ended(rivals_old, REFUSED, NOON)),
        (new, ended(new, RECEIPT, later)),
        (waiting, queued(waiting, 2)),
    ):
        await app.append([(deferral_write(kept, known),)])
    gone = await app.execute(DELETE_OLD_DEFERRALS, later, 10)
    assert sorted(row["deferral_id"] for row in gone) == ["def_1", "def_4"]
    assert (await find_deferrals(app, "shop", ["def_1", "def_3"])).keys() == {"def_3"}
    assert (await find_deferrals(app, "rival", ["def_2", "def_4"])).keys() == {"def_2"}
