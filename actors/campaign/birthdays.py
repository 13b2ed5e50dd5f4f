"""Birthdays of customers, without the year: for messages that congratulate, and nothing else."""

from calendar import isleap
from datetime import date, timedelta

import attrs

from runtime.message import Call
from runtime.storage import Statement

PUT_BIRTHDAY = Statement(
    "campaign.put_birthday",
    "INSERT INTO campaign_birthdays (merchant_id, customer_id, month, day) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (merchant_id, customer_id) DO UPDATE SET month = excluded.month,"
    " day = excluded.day",
    60,
)

DELETE_BIRTHDAY = Statement(
    "campaign.delete_birthday",
    "DELETE FROM campaign_birthdays WHERE merchant_id = $1 AND customer_id = $2",
    61,
)

SELECT_BIRTHDAY = (
    "SELECT month, day FROM campaign_birthdays WHERE merchant_id = $1 AND customer_id = $2"
)

BORN_ON = (
    "SELECT customer_id FROM campaign_birthdays WHERE merchant_id = $1 AND customer_id > $2"
    " AND month = $3 AND day = $4 ORDER BY customer_id LIMIT $5"
)

A_LEAP_YEAR = 2000


@attrs.frozen
class Birthday:
    month: int
    day: int


@attrs.frozen
class SetBirthday(Call[bool]):
    """To `BROADCASTS`: None deletes it. False when there is no such customer."""

    merchant_id: str
    customer_id: str
    birthday: Birthday | None


@attrs.frozen
class GetBirthday(Call[Birthday | None]):
    """To `BROADCASTS`."""

    merchant_id: str
    customer_id: str


def is_a_day(birthday: Birthday) -> bool:
    """Whether there is such a day, in some year."""
    try:
        date(A_LEAP_YEAR, birthday.month, birthday.day)
    except ValueError:
        return False
    return True


def celebrated_on(day: date) -> tuple[Birthday, ...]:
    """Whose birthday `day` is: who was born on the 29th of February has it on the 28th in other
    years."""
    today = Birthday(day.month, day.day)
    last_of_february = (day.month, (day + timedelta(days=1)).month) == (2, 3)
    if last_of_february and not isleap(day.year):
        return today, Birthday(2, 29)
    return (today,)
