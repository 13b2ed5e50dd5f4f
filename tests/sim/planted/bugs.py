"""Each bug is a patch: something that somebody could have written, and that passes a quick look."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import attrs
import msgspec
import pytest
import trio

import actors.auth.sessions
import actors.auth.writing
import actors.campaign.pump
import actors.core.orders
import actors.event_tracking.draining
import actors.event_tracking.storing
import actors.gamification.intake
import actors.points.account
import actors.points.campaign_rules
import actors.points.deferral_receipts
import actors.points.deferral_replay
import actors.points.loading
import actors.points.records
import actors.points.transferring
import actors.products.catalogue
import actors.products.readers
import actors.referrals.rewarding
import actors.referrals.sending
import actors.rfm_analytics.beginning
import actors.rfm_analytics.steps
import runtime.delivery
import runtime.inbox
import runtime.jobs.store
import runtime.journal
import runtime.restarts
from actors.admin_features.book import FlagBook
from actors.admin_features.records import Snapshot
from actors.auth.queries import USE_REFRESH
from actors.campaign.delivery_messages import DeliveryState
from actors.campaign.delivery_model import Leased, Settlement
from actors.campaign.messages import Rule
from actors.gamification.facts import fact_of_order
from actors.points.promotion_records import use_writes
from actors.points.promotions import UseChange, concerning
from actors.points.queries import INSERT_LOT, INSERT_TRANSFER
from actors.points.records import transfer_entry
from actors.points.reward_records import redemption_writes
from actors.points.rewards import Cancelled
from actors.points.state import AccountState
from actors.points.transferring import Transferring
from actors.vocabulary import Idempotency
from runtime.delivery import Verdict
from runtime.entity import Entities
from runtime.envelope import Envelope
from runtime.incarnation import Incarnation
from runtime.jobs.queries import END_ATTEMPT
from runtime.journal import JOURNAL, Append, Journal, Rejected
from runtime.outbox_store import OutboxStore, Page
from runtime.sim import Scenario
from runtime.storage import Entry, Statement, Write, inbox
from runtime.storage.idempotency import INSERT_KEY
from runtime.storage.outbox import INSERT_EVENT
from supervisors.simulation.badges import EARNED as BADGES_EARNED
from supervisors.simulation.badges import BadgesScenario
from supervisors.simulation.campaigns import IN_BUDGET, STACKING, CampaignsScenario
from supervisors.simulation.deferrals import TOLD, DeferralsScenario
from supervisors.simulation.deliveries import DeliveriesScenario
from supervisors.simulation.entities import EntitiesScenario
from supervisors.simulation.events import ADDS_UP, KEPT, EventsScenario
from supervisors.simulation.flags import FlagsScenario
from supervisors.simulation.jobs import JobsScenario
from supervisors.simulation.orders import OrdersScenario
from supervisors.simulation.outbox import OutboxScenario
from supervisors.simulation.points import PointsScenario
from supervisors.simulation.products import ProductsScenario
from supervisors.simulation.referrals import ReferralsScenario
from supervisors.simulation.rewards import RewardsScenario
from supervisors.simulation.segments import SegmentsScenario
from supervisors.simulation.sessions import OUT, WORKS_ONCE, SessionsScenario
from supervisors.simulation.sharded import BOUNDED, HONEST, IN_ORDER, OWN_ANSWER, ShardsScenario
from supervisors.simulation.sharded import ONCE as ONCE_OVER_LINKS
from supervisors.simulation.transfers import TransfersScenario
from tests.sim.planted import links

Patch = Callable[[pytest.MonkeyPatch], None]


@attrs.frozen
class Bug:
    """`rules` are the invariants of which one has to be found broken.

    `first_seed` is where the search begins; it goes around all the seeds.
    """

    plant: Patch
    scenario: type[Scenario]
    rules: frozenset[str]
    first_seed: int = 0

    @property
    def name(self) -> str:
        return self.plant.__name__


def reply_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The journal answers what it is about to write."""
    commit = Journal.receive_batch

    async def receive_batch(self: Journal, batch: Sequence[Envelope]) -> None:
        for envelope in batch:
            envelope.reply(None)
        await commit(self, batch)

    patch.setattr(Journal, "receive_batch", receive_batch)


def unknown_taken_for_success(patch: pytest.MonkeyPatch) -> None:
    """A connection that was lost during the commit: it will have happened."""

    def begin_doubt(self: Journal, batch: Sequence[Envelope], _error: Exception) -> None:
        self._tenure = None
        self._done(batch)

    patch.setattr(Journal, "_begin_doubt", begin_doubt)


def neighbours_rejected_together(patch: pytest.MonkeyPatch) -> None:
    """Of a batch that breaks a constraint, nobody looks whose fault it was."""

    async def turned_down(self: Journal, batch: Sequence[Envelope], violation: Any) -> None:
        for envelope in batch:
            envelope.reply(Rejected(violation))

    patch.setattr(Journal, "_turned_down", turned_down)


def stale_epoch_accepted(patch: pytest.MonkeyPatch) -> None:
    """Commits are counted, whoever owns the partition."""
    anybody = Statement(
        "journal.count_commit",
        "UPDATE journal_partitions SET commits = $3 WHERE partition = $1 AND $2 > 0",
        0,
        shared=True,
    )

    def commit_write(partition: str, epoch: int, commits: int) -> Write:
        return Write(anybody, (partition, epoch, commits))

    patch.setattr(runtime.journal, "commit_write", commit_write)


def outbox_row_dropped(patch: pytest.MonkeyPatch) -> None:
    """Of several orders in one request, only the first is published."""
    decide = actors.core.orders.Orders._decide

    def first_only(self: Any, *arguments: Any) -> Any:
        results, writes = decide(self, *arguments)
        events = [write for write in writes if write.statement is INSERT_EVENT]
        return results, tuple(write for write in writes if write not in events[1:])

    patch.setattr(actors.core.orders.Orders, "_decide", first_only)


def inbox_check_lost(patch: pytest.MonkeyPatch) -> None:
    """The record that an event was seen is never the same twice."""
    number = count(1)

    def inbox_write(**fields: Any) -> Write:
        return inbox.inbox_write(**{**fields, "consumer": f"{fields['consumer']}-{next(number)}"})

    patch.setattr(runtime.inbox, "inbox_write", inbox_write)


def event_forgotten_while_the_consumer_is_away(patch: pytest.MonkeyPatch) -> None:
    """Who is asked has taken it."""
    patch.setattr(runtime.delivery, "judge", lambda _part, _error: Verdict.TAKEN)


def late_events_overtaken(patch: pytest.MonkeyPatch) -> None:
    """A fresh event is delivered although earlier ones of its lane are late."""
    page = OutboxStore.page

    async def unaware(self: OutboxStore, late_consumers: Sequence[str]) -> Page:
        return attrs.evolve(await page(self, late_consumers), behind={})

    patch.setattr(OutboxStore, "page", unaware)


def two_activations(patch: pytest.MonkeyPatch) -> None:
    """The next activation does not wait until the last one has left."""

    async def launch_at_once(
        self: Entities, _predecessor: Incarnation, incarnation: Incarnation
    ) -> None:
        await trio.lowlevel.checkpoint()
        self._incarnation.launch(incarnation)

    patch.setattr(Entities, "_launch_after", launch_at_once)


def hold_forgotten_by_a_restart(patch: pytest.MonkeyPatch) -> None:
    """An account that is loaded has no holds."""
    states_of = actors.points.loading.states_of

    def without_holds(*arguments: Any) -> Any:
        states = states_of(*arguments)
        return {key: msgspec.structs.replace(state, holds={}) for key, state in states.items()}

    patch.setattr(actors.points.loading, "states_of", without_holds)


def lot_twice(patch: pytest.MonkeyPatch) -> None:
    """A lot is written for the earning, and once more for the balance."""
    entry_of = actors.points.records.entry_of

    def twice(*arguments: Any) -> Any:
        entry = entry_of(*arguments)
        again = [
            Write(INSERT_LOT, (write.row[0], f"{write.row[1]}-2", *write.row[2:]))
            for write in entry
            if write.statement is INSERT_LOT
        ]
        return (*entry, *again)

    patch.setattr(actors.points.account, "entry_of", twice)


def budget_looked_at_and_not_taken(patch: pytest.MonkeyPatch) -> None:
    """What a campaign gives is counted for each member alone."""

    def of_the_member(merchant_id: str, customer_id: str, use: UseChange) -> tuple[Write, ...]:
        return use_writes(merchant_id, customer_id, use)[:1]

    patch.setattr(actors.points.records, "use_writes", of_the_member)


def group_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Campaigns of one group take effect together."""

    def without_groups(*arguments: Any) -> tuple[Rule, ...]:
        return tuple(attrs.evolve(rule, group=None) for rule in concerning(*arguments))

    patch.setattr(actors.points.campaign_rules, "concerning", without_groups)


def transfer_in_two_entries(patch: pytest.MonkeyPatch) -> None:
    """What the giver loses is written first, and then what the taker gets."""
    hand_in = Transferring._hand_in

    async def in_two(
        self: Transferring, entry: Entry, state: AccountState, *, publishes: bool = False
    ) -> bool:
        theirs = tuple(write for write in entry if self.key.customer_id not in write.row)
        if theirs and any(write.statement is INSERT_TRANSFER for write in entry):
            ours = tuple(write for write in entry if write not in theirs)
            await self.system.ref(JOURNAL).ask(Append(theirs))
            return await hand_in(self, ours, state, publishes=publishes)
        return await hand_in(self, entry, state, publishes=publishes)

    patch.setattr(Transferring, "_hand_in", in_two)


def transfer_key_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A transfer is decided without a look at what its key was answered, and its key not kept."""

    async def find_transfer(*_arguments: Any) -> None:
        await trio.lowlevel.checkpoint()

    def without_key(*arguments: Any) -> Any:
        return tuple(w for w in transfer_entry(*arguments) if w.statement is not INSERT_KEY)

    patch.setattr(actors.points.transferring, "find_transfer", find_transfer)
    patch.setattr(actors.points.transferring, "transfer_entry", without_key)


def stock_not_given_back(patch: pytest.MonkeyPatch) -> None:
    """A cancelled redemption gives the points back, and keeps the reward."""

    def keeping(merchant_id: str, change: Any) -> Any:
        writes = redemption_writes(merchant_id, change)
        return writes[:1] if isinstance(change, Cancelled) else writes

    patch.setattr(actors.points.records, "redemption_writes", keeping)


def older_flags_taken(patch: pytest.MonkeyPatch) -> None:
    """A book believes whoever spoke last; here an old snapshot lies in the cache."""
    first: list[Snapshot] = []

    def take(self: FlagBook, snapshot: Snapshot, age_s: float = 0.0) -> bool:
        if snapshot.flags and not first:
            first.append(snapshot)
        self._flags = dict((first[0] if first and age_s == 0.0 else snapshot).flags)
        self._confirmed_at = trio.current_time()
        return True

    patch.setattr(FlagBook, "take", take)


def answers_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks up what a key was answered before."""

    async def find_answers(*_arguments: Any) -> dict[Any, Any]:
        await trio.lowlevel.checkpoint()
        return {}

    patch.setattr(actors.points.account, "find_answers", find_answers)


def replay_without_the_key(patch: pytest.MonkeyPatch) -> None:
    """An earning that was put off is posted under a key of its own."""
    as_promised, number = actors.points.deferral_replay.as_promised, count(1)

    def anew(*arguments: Any) -> Any:
        earn = as_promised(*arguments)
        key = attrs.evolve(earn.idempotency, key=f"replay-{next(number)}")
        return attrs.evolve(earn, idempotency=key)

    patch.setattr(actors.points.deferral_replay, "as_promised", anew)


def spool_acknowledged_first(patch: pytest.MonkeyPatch) -> None:
    """What is about to be replayed is removed from the disk already."""
    replayer = actors.points.deferral_replay.Replayer
    replay = replayer._round

    async def acknowledged_round(self: Any) -> None:
        records = await self._spool.read(0, 1_000)
        if records:
            await self._spool.acknowledge(records[-1].sequence)
        await replay(self)

    patch.setattr(replayer, "_round", acknowledged_round)


def wake_up_lost(patch: pytest.MonkeyPatch) -> None:
    """The replayer sleeps through what is put off."""
    patch.setattr(actors.points.deferral_replay.Replayer, "added", lambda _self: None)


def receipt_of_another_key(patch: pytest.MonkeyPatch) -> None:
    """Whoever asks for what was put off and applied is told what was applied first."""
    receipts = actors.points.deferral_receipts.Receipts
    find = receipts.find

    def first(self: Any, *key: Any) -> Any:
        found = find(self, *key)
        return found and next(each.receipt for each in self._applied.values())

    patch.setattr(receipts, "find", first)


def events_acknowledged_first(patch: pytest.MonkeyPatch) -> None:
    """Events that are about to be stored are removed from the disk already."""
    drainer = actors.event_tracking.draining.Drainer
    from_disk = drainer._from_disk

    async def acknowledged_from_disk(self: Any, batch: Any) -> None:
        await self._spool.acknowledge(batch.last)
        self._read_through = batch.last
        await from_disk(self, batch)

    patch.setattr(drainer, "_from_disk", acknowledged_from_disk)


def drops_not_explained(patch: pytest.MonkeyPatch) -> None:
    """The reasons of dropped events are forgotten where their number is written."""

    def writes(*arguments: Any) -> Any:
        queries = list(_writes(*arguments))
        return queries[:-1] if arguments[2] else queries

    _writes = actors.event_tracking.storing._writes
    patch.setattr(actors.event_tracking.storing, "_writes", writes)


def lease_not_fenced(patch: pytest.MonkeyPatch) -> None:
    """The end of an attempt may be written again."""
    unfenced = attrs.evolve(END_ATTEMPT, exact=False)
    patch.setattr(runtime.jobs.store, "END_ATTEMPT", unfenced)


def price_not_outdated(patch: pytest.MonkeyPatch) -> None:
    """Who writes a product forgets about the cached one."""

    async def outdate_products(*_arguments: Any) -> None:
        await trio.lowlevel.checkpoint()

    patch.setattr(actors.products.catalogue, "outdate_products", outdate_products)


def orphans_taken_for_sent(patch: pytest.MonkeyPatch) -> None:
    """What a worker had in hand when it died is believed to have been sent."""

    def sent(leased: Leased, _now: datetime, *, honours_keys: bool) -> Settlement:
        return Settlement(state=DeliveryState.SENT, attempt=leased.attempt)

    patch.setattr(actors.campaign.pump, "orphaned", sent)


NOTHING_USED = (
    "UPDATE refresh_tokens SET used_at = NULL"
    " WHERE merchant_id = $1 AND token_hash = $2 AND $3 IS NOT NULL"
)


def refresh_token_works_twice(patch: pytest.MonkeyPatch) -> None:
    """Whoever renews a session writes the next token, and forgets that the last one was used."""

    def without_use(cls: Any, row: Any, now: Any) -> Any:
        return attrs.evolve(found(row, now), used=False)

    found = actors.auth.sessions.Found.of
    patch.setattr(actors.auth.sessions.Found, "of", classmethod(without_use))
    patch.setattr(
        actors.auth.sessions,
        "USE_REFRESH",
        attrs.evolve(USE_REFRESH, sql=NOTHING_USED, exact=False),
    )


def logout_of_this_process_alone(patch: pytest.MonkeyPatch) -> None:
    """The tokens of a session that ends are revoked nowhere but in memory."""

    def ending_alone(*arguments: Any) -> Any:
        return session_end(*arguments)[:1]

    session_end = actors.auth.writing.session_end
    patch.setattr(actors.auth.sessions, "session_end", ending_alone)


def reward_under_a_fresh_key(patch: pytest.MonkeyPatch) -> None:
    """Who rewards again after a crash does so under another key."""
    number = count(1)

    def reward_key(referral_id: str, side: str) -> Idempotency:
        key = f"{referral_id}:{side}:{next(number)}"
        return Idempotency(key, key)

    patch.setattr(actors.referrals.rewarding, "reward_key", reward_key)


def text_sent_without_a_note(patch: pytest.MonkeyPatch) -> None:
    """A text of which nobody knows whether it was sent is sent again."""

    async def note_nothing(*_arguments: Any) -> None:
        await trio.lowlevel.checkpoint()

    patch.setattr(actors.referrals.sending.Delivery, "_try", note_nothing)


def slice_in_two_entries(patch: pytest.MonkeyPatch) -> None:
    """A run notes that a slice is done, and then does it."""
    append = actors.rfm_analytics.beginning.append

    async def in_two(system: Any, entry: Entry, **options: bool) -> None:
        await append(system, entry[:1], **options)
        if entry[1:]:
            await append(system, entry[1:], **options)

    patch.setattr(actors.rfm_analytics.steps, "append", in_two)


def restarts_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A supervisor goes on whatever happens; here somebody crashes fifty times in a row."""
    put = actors.products.catalogue.Catalogue._put
    number = count(1)

    async def crash(self: Any, *arguments: Any) -> Any:
        if next(number) <= 50:
            raise KeyError("sku")
        return await put(self, *arguments)

    patch.setattr(runtime.restarts.Restarts, "admit", lambda _self, _now, _child: True)
    patch.setattr(actors.products.catalogue.Catalogue, "_put", crash)


def tasks_left_behind(patch: pytest.MonkeyPatch) -> None:
    """Every batch leaves a task that waits for something that never comes."""
    commit = Journal.receive_batch

    async def receive_batch(self: Journal, batch: Sequence[Envelope]) -> None:
        self.start_task(trio.sleep_forever)
        await commit(self, batch)

    patch.setattr(Journal, "receive_batch", receive_batch)


def orders_counted_as_often_as_told(patch: pytest.MonkeyPatch) -> None:
    """An order is another one whenever an event tells of it."""
    number = count(1)

    def told_again(order: Any) -> Any:
        fact = fact_of_order(order)
        return attrs.evolve(fact, fact_id=f"{fact.fact_id}-{next(number)}")

    patch.setattr(actors.gamification.intake, "fact_of_order", told_again)


def epoch_forgotten_after_a_partition(patch: pytest.MonkeyPatch) -> None:
    """A shard that was cut off: it is who it was, and goes on where it stopped."""
    stale_epoch_accepted(patch)


def bug(plant: Patch, scenario: type[Scenario], *rules: str, first_seed: int = 0) -> Bug:
    return Bug(plant, scenario, frozenset(rules), first_seed)


LOST, ONCE, EFFECT = "nothing is lost", "no double effect", "every event has its effect"
PROMISE = "what was promised is there once"

BUGS: Iterable[Bug] = (
    bug(reply_before_commit, PointsScenario, LOST, ONCE, first_seed=16),
    bug(unknown_taken_for_success, PointsScenario, LOST, first_seed=2),
    bug(neighbours_rejected_together, OrdersScenario, "right answers", first_seed=17),
    bug(stale_epoch_accepted, PointsScenario, "one writer at a time", first_seed=17),
    bug(outbox_row_dropped, OrdersScenario, EFFECT),
    bug(inbox_check_lost, OutboxScenario, ONCE),
    bug(event_forgotten_while_the_consumer_is_away, OutboxScenario, EFFECT),
    bug(late_events_overtaken, OutboxScenario, "order of events"),
    bug(two_activations, EntitiesScenario, "single activation"),
    bug(
        hold_forgotten_by_a_restart, PointsScenario, "right answers", "comes to rest", first_seed=1
    ),
    bug(lot_twice, PointsScenario, "ledger conservation"),
    bug(transfer_in_two_entries, TransfersScenario, "ledger conservation"),
    bug(transfer_key_forgotten, TransfersScenario, ONCE),
    bug(budget_looked_at_and_not_taken, CampaignsScenario, IN_BUDGET),
    bug(group_forgotten, CampaignsScenario, STACKING),
    bug(stock_not_given_back, RewardsScenario, "stock is what is left", "ledger verifies"),
    bug(older_flags_taken, FlagsScenario, "converges", "versions never go back"),
    bug(answers_forgotten, PointsScenario, "answered at last", "answers when all is well"),
    bug(replay_without_the_key, DeferralsScenario, PROMISE),
    bug(spool_acknowledged_first, DeferralsScenario, PROMISE),
    bug(receipt_of_another_key, DeferralsScenario, TOLD, first_seed=11),
    bug(wake_up_lost, DeferralsScenario, "comes to rest", first_seed=4),
    bug(events_acknowledged_first, EventsScenario, KEPT),
    bug(drops_not_explained, EventsScenario, ADDS_UP),
    bug(lease_not_fenced, JobsScenario, ONCE, first_seed=30),
    bug(orphans_taken_for_sent, DeliveriesScenario, LOST, first_seed=4),
    bug(price_not_outdated, ProductsScenario, "who writes reads it back", first_seed=2),
    bug(refresh_token_works_twice, SessionsScenario, WORKS_ONCE),
    bug(logout_of_this_process_alone, SessionsScenario, OUT),
    bug(reward_under_a_fresh_key, ReferralsScenario, "each side is rewarded once", first_seed=11),
    bug(text_sent_without_a_note, ReferralsScenario, "no text twice", first_seed=102),
    bug(slice_in_two_entries, SegmentsScenario, "runs are whole", "runs end well", first_seed=5),
    bug(restarts_not_counted, ProductsScenario, "restart bounds"),
    bug(orders_counted_as_often_as_told, BadgesScenario, BADGES_EARNED, first_seed=1),
    bug(tasks_left_behind, EntitiesScenario, "leaked task"),
    bug(links.numbers_used_again, ShardsScenario, OWN_ANSWER, first_seed=24),
    bug(
        links.answers_of_an_old_process_taken,
        ShardsScenario,
        OWN_ANSWER,
        IN_ORDER,
        first_seed=27,
    ),
    bug(links.asks_repeated_by_the_link, ShardsScenario, ONCE_OVER_LINKS),
    bug(links.what_comes_later_written_first, ShardsScenario, IN_ORDER),
    bug(links.lost_taken_for_undelivered, ShardsScenario, HONEST),
    bug(links.credit_of_the_cancelled_kept, ShardsScenario, BOUNDED, first_seed=44),
    bug(
        epoch_forgotten_after_a_partition,
        ShardsScenario,
        "one writer at a time",
        first_seed=16,
    ),
)
