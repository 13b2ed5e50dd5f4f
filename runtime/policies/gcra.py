"""The generic cell rate algorithm (GCRA), once in Lua for Redis and once for this process.

A key's whole state is its theoretical arrival time: when it would be idle again if it had kept
to the rate. A call is admitted when that time, with the call added, lies at most `burst`
emission intervals ahead. Source: ITU-T I.371, in its virtual scheduling form.
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from random import Random
from sys import getsizeof

from runtime.policies.limits import Claim, Decision, Limit, Verdict, nearer

MICROSECONDS = 1_000_000

LUA = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = burst * interval
local kept = tonumber(redis.call('GET', KEYS[1]) or now)
local arrival = math.min(math.max(kept, now), now + room)
local wait = arrival + cost * interval - room - now
if wait <= 0 then
    arrival = arrival + cost * interval
end
local idle_in = arrival - now
if arrival ~= kept and idle_in > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil(idle_in / 1000))
end
return {wait <= 0 and 1 or 0, math.max(wait, 0), math.floor((room - idle_in) / interval)}
"""
"""Keys: the limit's. Arguments: emission interval in µs, burst, cost.

Whole numbers below 2^53 throughout, which Lua's floats hold exactly. An arrival time further
ahead than a burst can only come from a clock that was set back; it is cut to the burst.
"""


def decide(arrival_us: int, now_us: int, limit: Limit, cost: int) -> tuple[Verdict, int]:
    """The same as `LUA`: the verdict, and the new theoretical arrival time."""
    interval = limit.interval_us
    room = limit.burst * interval
    arrival = min(max(arrival_us, now_us), now_us + room)
    wait = arrival + cost * interval - room - now_us
    if wait > 0:
        return verdict(False, wait, (room - (arrival - now_us)) // interval), arrival
    arrival += cost * interval
    return verdict(True, 0, (room - (arrival - now_us)) // interval), arrival


def verdict(allowed: bool, wait_us: int, remaining: int) -> Verdict:
    return Verdict(allowed, wait_us / MICROSECONDS, remaining)


BUCKETS = 1 << 16
BUCKET_KEYS_MAX = 32
"""At most this many keys share a bucket; the one that is idle soonest makes room."""

PLACES_MAX = 4_096
"""Keys whose place is remembered, as finding it takes longer than all the rest."""


class LocalLimits:
    """Arrival times of up to `BUCKETS * BUCKET_KEYS_MAX` keys in this process.

    A dictionary of a million keys takes 150 MB; here a key is a 64-bit fingerprint and takes
    some 30 bytes. Fingerprints depend on a random secret, so that nobody can choose keys that
    crowd one bucket; two of 10⁶ keys are the same with a chance of 3 in 10⁸. Keys that are idle
    make room for new ones in their bucket.
    """

    def __init__(self, random: Random, buckets: int = BUCKETS) -> None:
        self._secret = random.randbytes(16)
        self._prints: list[array[int] | None] = [None] * buckets
        self._arrivals: list[array[int] | None] = [None] * buckets
        self._places: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Keys that are remembered."""
        return sum(len(prints) for prints in self._prints if prints is not None)

    def __sizeof__(self) -> int:
        """Bytes of memory, those of its tables included."""
        tables = chain(self._prints, self._arrivals)
        lists = getsizeof(self._prints) + getsizeof(self._arrivals)
        lists += getsizeof(self._places) + sum(map(getsizeof, self._places))
        return lists + sum(getsizeof(table) for table in tables if table is not None)

    def take(self, key: str, limit: Limit, cost: int, now_us: int) -> Verdict:
        """Decide about one call at `now_us`, in microseconds of a clock that never goes back."""
        number, print_ = self._place(key)
        answer, arrival = decide(self._arrival(number, print_), now_us, limit, cost)
        self._put(number, print_, arrival, now_us)
        return answer

    def take_all(self, claims: Sequence[Claim], now_us: int) -> Decision:
        """Take one call from each of some limits of different keys, or from none of them."""
        taken: list[tuple[int, int, int]] = []
        nearest: Decision | None = None
        for claim in claims:
            number, print_ = self._place(claim.key)
            arrival = self._arrival(number, print_)
            answer, arrival = decide(arrival, now_us, claim.limit, 1)
            decision = Decision(answer, claim)
            if not answer.allowed:
                return decision
            taken.append((number, print_, arrival))
            nearest = nearer(nearest, decision)
        for number, print_, arrival in taken:
            self._put(number, print_, arrival, now_us)
        if nearest is None:
            raise ValueError("no limit was named")
        return nearest

    def _place(self, key: str) -> tuple[int, int]:
        place = self._places.get(key)
        if place is None:
            if len(self._places) == PLACES_MAX:
                self._places.clear()
            place = self._places[key] = self._found(key)
        return place

    def _found(self, key: str) -> tuple[int, int]:
        digest = blake2b(key.encode(), digest_size=10, key=self._secret).digest()
        number = int.from_bytes(digest[:2], "big") % len(self._prints)
        return number, int.from_bytes(digest[2:], "big")

    def _arrival(self, number: int, print_: int) -> int:
        prints, arrivals = self._prints[number], self._arrivals[number]
        if prints is None or arrivals is None or print_ not in prints:
            return 0
        return arrivals[prints.index(print_)]

    def _put(self, number: int, print_: int, arrival: int, now_us: int) -> None:
        prints, arrivals = self._bucket(number)
        if print_ in prints:
            arrivals[prints.index(print_)] = arrival
            return
        soonest = min(arrivals, default=now_us + 1)
        if soonest <= now_us or len(prints) == BUCKET_KEYS_MAX:
            index = arrivals.index(soonest)
            prints[index], arrivals[index] = print_, arrival
        else:
            prints.append(print_)
            arrivals.append(arrival)

    def _bucket(self, number: int) -> "tuple[array[int], array[int]]":
        prints, arrivals = self._prints[number], self._arrivals[number]
        if prints is None or arrivals is None:
            prints = self._prints[number] = array("Q")
            arrivals = self._arrivals[number] = array("q")
        return prints, arrivals
