"""A small part of PromQL: enough to try our own alert rules on made-up series.

There is no promtool where only Python is. What is here follows Prometheus' documentation: instant
vectors of the last sample within five minutes, `rate` and `increase` over the samples of a range
(with resets; the mean slope stands for the edges of the range), matching of vectors by labels,
`and`, comparisons that filter, aggregation by labels, and `histogram_quantile`. Anything else
raises.
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import attrs

LOOKBACK_S = 300.0
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
TOKEN = re.compile(
    r"\s*(?:(?P<duration>\d+[smhd])|(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)"
    r'|(?P<string>"[^"]*")|(?P<op>=~|!~|!=|==|>=|<=|[-+*/(){}\[\],=<>]))'
)

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
NAME = "__name__"


def labels_of(name: str, /, **labels: str) -> Labels:
    return frozenset({NAME: name, **labels}.items())


@attrs.define
class Series:
    """Samples of one series: times in seconds, ascending."""

    times: list[float] = attrs.field(factory=list)
    values: list[float] = attrs.field(factory=list)

    def at(self, time: float) -> float | None:
        index = bisect_right(self.times, time) - 1
        if index < 0 or self.times[index] <= time - LOOKBACK_S:
            return None
        return self.values[index]

    def between(self, start: float, end: float) -> list[float]:
        return self.values[bisect_right(self.times, start) : bisect_right(self.times, end)]

    def span_s(self, start: float, end: float) -> float:
        times = self.times[bisect_right(self.times, start) : bisect_right(self.times, end)]
        return times[-1] - times[0] if times else 0.0


@attrs.define
class Store:
    """Series by their labels."""

    series: dict[Labels, Series] = attrs.field(factory=dict)

    def add(self, labels: Labels, time: float, value: float) -> None:
        kept = self.series.setdefault(labels, Series())
        kept.times.append(time)
        kept.values.append(value)


@attrs.frozen
class Selector:
    name: str
    matchers: tuple[tuple[str, str, str], ...]
    range_s: float | None = None

    def find(self, store: Store) -> Iterator[tuple[Labels, Series]]:
        for labels, series in store.series.items():
            if self._matches(dict(labels)):
                yield labels, series

    def _matches(self, labels: Mapping[str, str]) -> bool:
        return labels[NAME] == self.name and all(
            _compare(labels.get(label, ""), op, text) for label, op, text in self.matchers
        )


def _compare(value: str, op: str, text: str) -> bool:
    equal = re.fullmatch(text, value) is not None if "~" in op else value == text
    return equal is not op.startswith("!")


class Parser:
    """Turns an expression into a function of a store and a time."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            match = TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise ValueError(f"cannot read {text[position:]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def parse(self) -> "Node":
        node = self._and()
        if self._tokens:
            raise ValueError(f"left over: {self._tokens}")
        return node

    def _peek(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self, expected: str | None = None) -> str:
        _, text = self._tokens.pop(0)
        if expected is not None and text != expected:
            raise ValueError(f"{text!r} where {expected!r} belongs")
        return text

    def _and(self) -> "Node":
        left = self._comparison()
        while self._peek() == "and":
            self._take()
            left = Binary("and", left, self._comparison(), None)
        return left

    def _comparison(self) -> "Node":
        return self._chain({">", "<", "==", ">=", "<=", "!="}, self._sum)

    def _sum(self) -> "Node":
        return self._chain({"+", "-"}, self._product)

    def _product(self) -> "Node":
        return self._chain({"*", "/"}, self._atom)

    def _chain(self, ops: set[str], below: Callable[[], "Node"]) -> "Node":
        left = below()
        while self._peek() in ops:
            op = self._take()
            on = self._labels() if self._peek() == "on" and self._take() else None
            left = Binary(op, left, below(), on)
        return left

    def _labels(self) -> tuple[str, ...]:
        self._take("(")
        labels = []
        while self._peek() != ")":
            labels.append(self._take())
            if self._peek() == ",":
                self._take()
        self._take(")")
        return tuple(labels)

    def _atom(self) -> "Node":
        kind, text = self._tokens[0]
        if text == "(":
            self._take()
            node = self._and()
            self._take(")")
            return node
        if kind == "number":
            return Number(float(self._take()))
        if kind != "name":
            raise ValueError(f"unexpected {text!r}")
        self._take()
        if text in AGGREGATIONS:
            by = self._labels() if self._peek() == "by" and self._take() else ()
            return Aggregation(text, by, self._arguments()[0])
        if self._peek() == "(":
            return Function(text, tuple(self._arguments()))
        return self._selector(text)

    def _arguments(self) -> "list[Node]":
        self._take("(")
        arguments = [self._and()]
        while self._peek() == ",":
            self._take()
            arguments.append(self._and())
        self._take(")")
        return arguments

    def _selector(self, name: str) -> "Node":
        matchers = []
        if self._peek() == "{":
            self._take()
            while self._peek() != "}":
                matchers.append((self._take(), self._take(), self._take().strip('"')))
                if self._peek() == ",":
                    self._take()
            self._take("}")
        range_s = None
        if self._peek() == "[":
            self._take()
            duration = self._take()
            range_s = float(duration[:-1]) * UNITS[duration[-1]]
            self._take("]")
        return Select(Selector(name, tuple(matchers), range_s))


class Node(ABC):
    """A part of an expression."""

    @abstractmethod
    def value(self, store: Store, time: float) -> Any:
        """A number, or a vector."""


@attrs.frozen
class Number(Node):
    number: float

    def value(self, store: Store, time: float) -> float:
        return self.number


@attrs.frozen
class Select(Node):
    selector: Selector

    def value(self, store: Store, time: float) -> Vector:
        found = {labels: series.at(time) for labels, series in self.selector.find(store)}
        return {labels: value for labels, value in found.items() if value is not None}


def without_name(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != NAME)


def _increase(selector: Selector, store: Store, time: float, *, per_second: bool) -> Vector:
    assert selector.range_s is not None
    start, grown = time - selector.range_s, {}
    for labels, series in selector.find(store):
        samples = series.between(start, time)
        if len(samples) < 2:
            continue
        total = sum(
            after - before if after >= before else after for before, after in pairwise(samples)
        )
        span_s = series.span_s(start, time)
        grown[without_name(labels)] = total / span_s * (1.0 if per_second else selector.range_s)
    return grown


def _quantile(share: float, buckets: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        named = dict(labels)
        bound = float(named.pop("le").replace("+Inf", "inf"))
        groups.setdefault(without_name(frozenset(named.items())), []).append((bound, count))
    return {labels: _rank(share, sorted(pairs)) for labels, pairs in groups.items()}


def _rank(share: float, pairs: list[tuple[float, float]]) -> float:
    rank = share * pairs[-1][1]
    low, below = 0.0, 0.0
    for bound, count in pairs:
        if count >= rank and count > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return float("nan")


@attrs.frozen
class Function(Node):
    name: str
    arguments: tuple[Node, ...]

    def value(self, store: Store, time: float) -> Vector:
        match self.name, self.arguments:
            case "rate" | "increase", (Select(selector=selector),):
                return _increase(selector, store, time, per_second=self.name == "rate")
            case "vector", (Number(number=number),):
                return {frozenset(): number}
            case "histogram_quantile", (Number(number=share), Node() as buckets):
                return _quantile(share, buckets.value(store, time))
        raise ValueError(f"no function {self.name}")


AGGREGATIONS: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max, "min": min}


@attrs.frozen
class Aggregation(Node):
    name: str
    by: tuple[str, ...]
    operand: Node

    def value(self, store: Store, time: float) -> Vector:
        groups: dict[Labels, list[float]] = {}
        for labels, value in self.operand.value(store, time).items():
            groups.setdefault(_only(labels, self.by), []).append(value)
        return {labels: AGGREGATIONS[self.name](values) for labels, values in groups.items()}


def _only(labels: Labels, names: Iterable[str]) -> Labels:
    return frozenset(pair for pair in labels if pair[0] in tuple(names))


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else float("nan") if not a else float("inf"),
}


@attrs.frozen
class Binary(Node):
    """`on` are the labels by which vectors are matched, None for all of them."""

    op: str
    left: Node
    right: Node
    on: tuple[str, ...] | None

    def value(self, store: Store, time: float) -> Any:
        left, right = self.left.value(store, time), self.right.value(store, time)
        if not isinstance(left, dict) and not isinstance(right, dict):
            return ARITHMETIC[self.op](left, right)
        if not isinstance(left, dict):
            return self._each({labels: (left, value) for labels, value in right.items()}, right)
        if not isinstance(right, dict):
            return self._each({labels: (value, right) for labels, value in left.items()}, left)
        partners = self._by_key(right)
        keys = self._by_key(left)
        pairs = {
            labels: (left[labels], right[partners[key]])
            for key, labels in keys.items()
            if key in partners
        }
        if self.op == "and":
            return {labels: pair[0] for labels, pair in pairs.items()}
        return self._each(pairs, left)

    def _by_key(self, vector: Vector) -> dict[Labels, Labels]:
        keys: dict[Labels, Labels] = {}
        for labels in vector:
            key = without_name(labels) if self.on is None else _only(labels, self.on)
            if key in keys:
                raise ValueError(f"several series match {dict(key)}")
            keys[key] = labels
        return keys

    def _each(self, pairs: Mapping[Labels, tuple[float, float]], kept: Vector) -> Vector:
        if self.op in COMPARISONS:
            compare = COMPARISONS[self.op]
            return {labels: kept[labels] for labels, pair in pairs.items() if compare(*pair)}
        compute = ARITHMETIC[self.op]
        return {
            without_name(labels) if self.on is None else _only(labels, self.on): compute(*pair)
            for labels, pair in pairs.items()
        }


def parse(text: str) -> Node:
    return Parser(text).parse()
