"""Some of the runtime's own tests once more, under `host.run`: actors notice no difference.

They run in virtual time, which works because they make no `host.call`.
"""

import pytest

from runtime import host
from tests.unit.runtime.test_messaging import (
    test_ask_cycle_fails_at_once_and_names_the_cycle,
    test_ask_times_out_after_five_seconds_by_default,
    test_busy_actor_lets_others_run,
    test_cancelled_ask_cancels_the_work,
    test_crash_answers_the_asker_and_all_who_wait,
    test_deadline_cancels_the_handler,
    test_messages_of_one_sender_arrive_in_order,
    test_nested_asks_inherit_what_is_left,
)
from tests.unit.runtime.test_supervisor import (
    test_cancelling_the_block_still_stops_in_order,
    test_children_start_in_order_and_stop_in_reverse,
    test_root_that_crashes_ends_the_system_with_its_error,
    test_shutdown_by_time_kills_who_does_not_stop,
)

__all__ = [
    "test_ask_cycle_fails_at_once_and_names_the_cycle",
    "test_ask_times_out_after_five_seconds_by_default",
    "test_busy_actor_lets_others_run",
    "test_cancelled_ask_cancels_the_work",
    "test_cancelling_the_block_still_stops_in_order",
    "test_children_start_in_order_and_stop_in_reverse",
    "test_crash_answers_the_asker_and_all_who_wait",
    "test_deadline_cancels_the_handler",
    "test_messages_of_one_sender_arrive_in_order",
    "test_nested_asks_inherit_what_is_left",
    "test_root_that_crashes_ends_the_system_with_its_error",
    "test_shutdown_by_time_kills_who_does_not_stop",
]

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]


async def test_these_tests_have_a_host_loop() -> None:
    async def nothing() -> str:
        return "called"

    assert await host.call(nothing) == "called"
