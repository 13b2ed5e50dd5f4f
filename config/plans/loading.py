"""Reading plan files: TOML, checked as a whole, with one line for each thing that is wrong."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from config.errors import SettingsError, unknown
from config.parsers import bind_address
from config.plans.model import DOMAINS, Plan, RestartBounds, ShardPlan

SHARDS_MAX: Final = 32
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")

PARTS: Final = frozenset({"health", "relay", "restarts", "shards"})

Address = Annotated[str, Meta(max_length=300)]


class _Restarts(msgspec.Struct, forbid_unknown_fields=True):
    most: Annotated[int, Meta(ge=1, le=1_000)] = 5
    within_s: Annotated[float, Meta(gt=0, le=3_600)] = 30.0


class _Shard(msgspec.Struct, forbid_unknown_fields=True):
    domains: list[str] = []
    http: Address | None = None
    link: Address | None = None
    metrics: Address | None = None
    memory_mib: Annotated[int, Meta(ge=128, le=1_048_576)] | None = None
    silence_s: Annotated[float, Meta(ge=1, le=300)] = 10.0


class PlanError(SettingsError):
    """A plan is wrong. `problems` has a line for each reason."""

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(f"plan {path}: {problem}" for problem in problems))
        self.problems = problems


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises `PlanError`."""
    table = _read(path)
    problems: list[str] = []
    shards = _shards(table, problems)
    restarts = _part(table.get("restarts", {}), _Restarts, "restarts", problems)
    problems += _unknown_parts(table)
    if problems:
        raise PlanError(path, tuple(problems))
    health, relay = table.get("health", "127.0.0.1:8090"), table.get("relay")
    problems += [*_wrong_domains(shards), *_wrong_addresses(health, shards)]
    problems += [*_wrong_places(relay, shards)]
    if problems:
        raise PlanError(path, tuple(problems))
    bounds = RestartBounds(restarts.most, restarts.within_s) if restarts else RestartBounds()
    home = next(name for name, shard in shards.items() if "points" in shard.domains)
    return Plan(shards=shards, relay=relay or home, health=str(health), restarts=bounds)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        reason = f"not TOML: {error}"
    raise PlanError(path, (reason,))


def _unknown_parts(table: Mapping[str, object]) -> Iterator[str]:
    for name in table:
        if name not in PARTS:
            yield f"{name} {unknown('a part of a plan', name, PARTS)}"


def _shards(table: Mapping[str, object], problems: list[str]) -> dict[str, ShardPlan]:
    tables = table.get("shards")
    if not isinstance(tables, dict) or not tables:
        problems.append("there are no shards; each is a table [shards.NAME]")
        return {}
    if len(tables) > SHARDS_MAX:
        problems.append(f"{len(tables)} shards; {SHARDS_MAX} at most")
    shards: dict[str, ShardPlan] = {}
    for name, said in tables.items():
        if not NAME.fullmatch(name):
            problems.append(f"shards.{name}: a name has small letters, digits and _, 31 at most")
        read = _part(said, _Shard, f"shards.{name}", problems)
        if read is not None:
            fields = msgspec.structs.asdict(read) | {"domains": tuple(read.domains)}
            shards[name] = ShardPlan(name=name, **fields)
    return shards


def _part(said: object, kind: type[Any], where: str, problems: list[str]) -> Any:
    """None where it is wrong, which is then a problem."""
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        field = place.rstrip("`")
        problems.append(f"{where}{field}: {what[:1].lower()}{what[1:]}")
        return None


def _wrong_domains(shards: Mapping[str, ShardPlan]) -> Iterator[str]:
    for name, shard in shards.items():
        for domain in shard.domains:
            if domain not in DOMAINS:
                yield f"shards.{name}.domains: {domain} {unknown('a domain', domain, DOMAINS)}"
    counts = Counter(domain for shard in shards.values() for domain in shard.domains)
    for domain in DOMAINS:
        homes = [name for name, shard in shards.items() if domain in shard.domains]
        if not homes:
            yield f"domain {domain} is in no shard"
        elif counts[domain] > 1:
            yield f"domain {domain} is named {counts[domain]} times, in {', '.join(homes)}"


def _wrong_addresses(health: object, shards: Mapping[str, ShardPlan]) -> Iterator[str]:
    said = {"health": health}
    for name, shard in shards.items():
        ports = {"http": shard.http, "link": shard.link, "metrics": shard.metrics}
        said |= {f"shards.{name}.{port}": address for port, address in ports.items() if address}
    places: dict[str, str] = {}
    for where, address in said.items():
        try:
            text = bind_address(str(address))
        except ValueError as error:
            yield f"{where}: {str(address)[:80]!r} is wrong; allowed: {error}"
            continue
        if not text.endswith(":0"):
            other = places.setdefault(text, where)
            if other != where:
                yield f"{where}: {text} is the address of {other} already"


def _wrong_places(relay: object, shards: Mapping[str, ShardPlan]) -> Iterator[str]:
    if not any(shard.http for shard in shards.values()):
        yield "no shard serves the API; give one an http address"
    for name, shard in shards.items():
        if len(shards) > 1 and not shard.link:
            yield f"shards.{name}: there are other shards, so it needs a link address"
        elif shard.link and shard.link.endswith(":0"):
            yield f"shards.{name}.link: others have to know the port, so it cannot be 0"
    if relay is not None and relay not in shards:
        yield f"relay: {relay} {unknown('a shard', str(relay), shards)}"
