"""The rules of the house that no linter knows, checked against every file of the repository."""

import ast
import gc
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
FLOORS = {"runtime": 0, "actors": 1, "supervisors": 2, "gateway": 3, "cli": 4, "main": 5}
LEAF = "config"
SHARED_BY_DOMAINS = {"key_files", "outgoing", "vocabulary", "paging", "room", "slicing"}
MODULE_LINES_MAX = 500
TEST_MODULE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 60

REPRODUCIBLE = ("runtime", "actors", "supervisors", "gateway")
"""Packages whose every answer must follow from the ports."""
IMPURE_MODULES = {"random", "secrets", "time", "uuid"}
IMPURE_CALLS = {
    "date.today",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "os.urandom",
    "Random",
}
PASSED_IN = frozenset({"random.Random"})
"""Named as the type of a generator that comes from a port."""
IMPURE_ON_PURPOSE = {
    "runtime.ports": "it is where the ports are made",
    "actors.core.prepare_worker": "a process of its own, which no simulation starts",
    "gateway.dispatch": "it measures how long a request took, and only metrics and logs see it",
}

IO_MODULES = {
    "asyncio",
    "asyncpg",
    "concurrent",
    "fcntl",
    "mmap",
    "multiprocessing",
    "redis",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "uvloop",
}
"""Ways out of the process, and out of its one thread."""
IO_CALLS = {
    "open",
    "os.open",
    "file.read_text",
    "path.mkdir",
    "parent.mkdir",
    "path.read_bytes",
    "path.unlink",
    "temporary.unlink",
    "to_thread.run_sync",
    "trio.open_file",
    "trio.open_process",
    "trio.open_tcp_listeners",
    "trio.open_tcp_stream",
    "trio.open_unix_socket",
    "trio.run_process",
}
ADAPTERS = {
    "actors.admin_features.flag_file": "the file of the last known flags",
    "actors.auth.hashing": "the threads that hash, where no others are given",
    "actors.auth.keyring": "the signing key, where no other way to it is given",
    "actors.auth.keys": "the signing key's file",
    "actors.auth.records": "the record files of the signing key",
    "actors.core.data_keyring": "the keys of personal data, where no other way to them is given",
    "actors.core.data_keys": "the file of the keys of personal data",
    "actors.gamification.pattern_worker": "the process beside ours that matches patterns",
    "actors.key_files": "the files of keys, as they are written",
    "actors.outgoing.smtp": "the mail port's adapter: a library that needs threads",
    "gateway.documents": "the edge: the description of all routes is made in a thread",
    "gateway.door": "the edge: simulations end where the network begins",
    "gateway.listener": "the edge",
    "gateway.visitors": "the edge",
    "runtime.cache.redis": "an adapter of the cache's port",
    "runtime.cache.redis_connections": "an adapter of the cache's port",
    "runtime.cache.redis_listener": "an adapter of the cache's port",
    "runtime.host": "the loop of libraries that need another one",
    "runtime.host_wait": "the loop of libraries that need another one",
    "runtime.kept_process": "the processes that this one keeps running",
    "runtime.links.websocket": "an adapter of the links' port",
    "runtime.processes": "the processes that work for this one",
    "runtime.spool.disk": "what an adapter of the spool's port asks the system for",
    "runtime.spool.file": "an adapter of the spool's port",
    "runtime.storage.lockfile": "an adapter of the database's port",
    "runtime.storage.postgres_errors": "an adapter of the database's port",
    "runtime.storage.postgres_notices": "an adapter of the database's port",
    "runtime.storage.postgres_session": "an adapter of the database's port",
    "runtime.storage.postgres_values": "an adapter of the database's port",
    "runtime.storage.schema": "it reads migrations from its own package",
    "runtime.storage.sqlite": "an adapter of the database's port; in memory without threads",
    "runtime.storage.sqlite_checkpoints": "a part of that adapter, for files only",
    "runtime.storage.sqlite_templates": "an adapter of the database's port; in memory",
    "runtime.storage.sqlite_values": "an adapter of the database's port",
}
"""Who reaches out of the process itself. Everybody else does so through a port, behind which
simulations put a world of their own."""

TABLES_OF_THE_RUNTIME = {
    "schema_migrations": "one for the database, not one for each merchant",
    "journal_partitions": "a journal writes for all merchants",
    "event_sources": "a spill file has the events of all merchants",
}


@attrs.frozen
class Module:
    """A Python file, its dotted name as imports see it, and its syntax tree."""

    name: str
    path: Path
    source: str
    tree: ast.Module = attrs.field(
        init=False, eq=False, default=attrs.Factory(lambda m: ast.parse(m.source), takes_self=True)
    )

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree. Walking it takes longer than most rules do."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def definitions(self) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, ...]:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        return tuple(node for node in self.nodes if isinstance(node, kinds))

    @cached_property
    def import_statements(self) -> tuple[ast.Import | ast.ImportFrom, ...]:
        """Without those in blocks that only type checkers read."""
        blocks = (node for node in self.nodes if isinstance(node, ast.If))
        for_types = (node for node in blocks if "TYPE_CHECKING" in ast.unparse(node.test))
        unread = {inner for block in for_types for inner in ast.walk(block)}
        statements = (node for node in self.nodes if isinstance(node, ast.Import | ast.ImportFrom))
        return tuple(node for node in statements if node not in unread)

    @cached_property
    def calls(self) -> tuple[str, ...]:
        """What is called, as it is written."""
        return tuple(ast.unparse(node.func) for node in self.nodes if isinstance(node, ast.Call))

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]

    @property
    def domain(self) -> str | None:
        """The domain package this module belongs to."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "actors" and len(parts) > 2 else None


def module(name: str, source: str) -> Module:
    """A module that is not on disk."""
    return Module(name, Path(*name.split(".")).with_suffix(".py"), source)


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = (ROOT / line for line in listed.stdout.splitlines())
    return tuple(sorted(path for path in paths if path.is_file()))


@contextmanager
def lasting() -> Iterator[None]:
    """What is made in the block is for good: the collector never looks at it.

    The trees of all modules are a million objects. A look at them takes seconds, in which every
    test that comes after these in this process would stand still.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@cache
@lasting()
def modules() -> tuple[Module, ...]:
    found = []
    for path in files():
        if path.suffix == ".py":
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if parts[0] == "http" else parts
            name = ".".join(parts).removesuffix(".__init__")
            found.append(Module(name, path, path.read_text()))
    return tuple(found)


def ours() -> tuple[Module, ...]:
    """The modules of the product, without its tests."""
    return tuple(module for module in modules() if module.root in {*FLOORS, LEAF})


# Imports


def imports(module: Module, known: frozenset[str]) -> Iterator[str]:
    """Dotted names that `module` imports when it runs: submodules rather than packages."""
    for node in module.import_statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            base = node.module or ""
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield name if name in known else base


def upward_imports(module: Module, known: frozenset[str]) -> list[str]:
    return [
        f"{module.name} imports {name}"
        for name in imports(module, known)
        if not _may_import(module, name)
    ]


def _may_import(module: Module, name: str) -> bool:
    root, _, rest = name.partition(".")
    if root == "tests":
        return False
    if root == LEAF or root not in FLOORS:
        return True
    if module.root == LEAF or FLOORS[root] > FLOORS[module.root]:
        return False
    if root != "actors" or module.domain is None:
        return True
    domain, _, inside = rest.partition(".")
    return domain in {module.domain, *SHARED_BY_DOMAINS} or inside == "messages"


def import_circle(some: tuple[Module, ...]) -> list[str]:
    known = frozenset(module.name for module in some)
    graph = {module.name: set(imports(module, known)) & known for module in some}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_run_only_downwards() -> None:
    known = frozenset(module.name for module in modules())
    assert [line for module in ours() for line in upward_imports(module, known)] == []


def test_imports_make_no_circle() -> None:
    assert import_circle(ours()) == []


@pytest.mark.parametrize(
    ("importer", "statement", "allowed"),
    [
        ("runtime.ref", "from actors import paging", False),
        ("runtime.ref", "import config.settings", True),
        ("actors.points.intake", "from actors.core.messages import Order", True),
        ("actors.points.intake", "from actors.core import messages", True),
        ("actors.points.intake", "from actors.core.model import Order", False),
        ("actors.points.intake", "from actors.core import Order", False),
        ("actors.points.intake", "from actors.paging import Page", True),
        ("supervisors.platform", "from actors.core.model import Order", True),
        ("supervisors.platform", "import gateway.listener", False),
        ("gateway.routes", "from cli import serve", False),
        ("config.settings", "import runtime", False),
        ("main", "from tests import servers", False),
        ("main", "from cli import serve", True),
    ],
)
def test_the_import_rule_tells_up_from_down(importer: str, statement: str, allowed: bool) -> None:
    known = frozenset({"actors.core.messages", "actors.core.model", "actors.paging"})
    assert (not upward_imports(module(importer, statement), known)) is allowed


def test_the_circle_rule_sees_circles_but_not_imports_for_types() -> None:
    circle = (module("a", "from b import c"), module("b", "import a"))
    for_types = "if TYPE_CHECKING:\n    import a"
    assert set(import_circle(circle)) == {"a", "b"}
    assert import_circle((circle[0], module("b", for_types))) == []


def test_http_is_a_plain_folder_and_its_name_means_the_standard_library() -> None:
    assert (ROOT / "http").is_dir()
    assert not (ROOT / "http" / "__init__.py").exists()
    imported = {name for module in modules() for name in imports(module, frozenset())}
    http = {name for name in imported if name.partition(".")[0] == "http"}
    assert http <= {"http", "http.client", "http.cookies", "http.server"}


# Clock, randomness, ids


def last_names(module: Module) -> Iterator[str]:
    """What is called: its name, and the one before."""
    return (".".join(called.rsplit(".", 2)[-2:]) for called in module.calls)


def impurities(module: Module) -> list[str]:
    found = [name for name in imports(module, PASSED_IN) if name in IMPURE_MODULES]
    found += [called for called in last_names(module) if called in IMPURE_CALLS]
    return [f"{module.name} uses {name}" for name in found]


def test_clock_randomness_and_ids_come_through_the_ports() -> None:
    reproducible = [m for m in ours() if m.root in REPRODUCIBLE]
    reproducible = [m for m in reproducible if m.name not in IMPURE_ON_PURPOSE]
    assert [line for module in reproducible for line in impurities(module)] == []


def test_every_exception_from_the_ports_is_needed() -> None:
    needed = {module.name for module in ours() if impurities(module)}
    assert set(IMPURE_ON_PURPOSE) <= needed


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import random", 1),
        ("from time import monotonic", 1),
        ("from uuid import uuid4", 1),
        ("now = datetime.now(UTC)", 1),
        ("now = datetime.datetime.now(UTC)", 1),
        ("key = os.urandom(16)", 1),
        ("from random import Random; generator = Random()", 1),
        ("def delay_s(random: Random) -> float: ...", 0),
        ("from random import Random", 0),
        ("now = self.clock.now()", 0),
        ("import timeit", 0),
    ],
)
def test_the_port_rule_tells_pure_from_impure(source: str, count: int) -> None:
    assert len(impurities(module("actors.points.decide", source))) == count


# Input and output


def ways_out(module: Module) -> list[str]:
    """What of a module reaches out of the process."""
    found = [name for name in imports(module, frozenset()) if name.split(".")[0] in IO_MODULES]
    found += [called for called in last_names(module) if called in IO_CALLS]
    return [f"{module.name} uses {name}" for name in found]


def test_input_and_output_go_through_the_ports() -> None:
    simulated = [m for m in ours() if m.root in REPRODUCIBLE and m.name not in ADAPTERS]
    assert [line for module in simulated for line in ways_out(module)] == []


def test_every_adapter_is_one() -> None:
    assert set(ADAPTERS) <= {module.name for module in ours() if ways_out(module)}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import socket", 1),
        ("from asyncio import sleep", 1),
        ("import redis.asyncio", 1),
        ("file = open('x')", 1),
        ("descriptor = os.open(path, 0)", 1),
        ("await trio.to_thread.run_sync(work)", 1),
        ("text = path.read_bytes()", 1),
        ("await trio.open_tcp_stream('x', 1)", 1),
        ("cell.open()", 0),
        ("spool = await self._open_spool()", 0),
        ("await trio.sleep(1)", 0),
        ("from urllib.parse import urlsplit", 0),
    ],
)
def test_the_rule_of_adapters_sees_ways_out(source: str, count: int) -> None:
    assert len(ways_out(module("actors.points.intake", source))) == count


# Generators that somebody closes


ENDED_BY_A_CANCELLATION = {"actors.outgoing.http": ["response.aiter_raw()"]}
"""It cannot be closed from outside: each of several generators would have to close the next."""


def left_to_the_collector(module: Module) -> list[str]:
    """What is iterated as it is made, so that nobody can close it where the block is left."""
    loops = (node for node in module.nodes if isinstance(node, ast.AsyncFor))
    return [ast.unparse(loop.iter) for loop in loops if isinstance(loop.iter, ast.Call)]


def test_async_generators_are_closed_by_whoever_iterates_them() -> None:
    assert {m.name: left_to_the_collector(m) for m in ours() if left_to_the_collector(m)} == (
        ENDED_BY_A_CANCELLATION
    )


def test_the_rule_of_generators_sees_what_nobody_closes() -> None:
    loop = "async def f():\n    async for x in {}:\n        pass"
    assert left_to_the_collector(module("careless", loop.format("pages(1)"))) == ["pages(1)"]
    assert not left_to_the_collector(module("careful", loop.format("found")))


# Size and documentation


def undocumented(module: Module) -> list[str]:
    if not module.tree.body:
        return []
    first_line = (ast.get_docstring(module.tree) or "").partition("\n")[0]
    return [] if re.fullmatch(r"[A-Z`].*\.", first_line) else [f"{module.name}: {first_line!r}"]


def long_functions(module: Module) -> list[str]:
    return [
        f"{module.name}.{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in module.definitions
        if not isinstance(node, ast.ClassDef)
        if node.end_lineno is not None
        if node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]


def test_every_module_says_in_one_line_what_it_is() -> None:
    assert [line for module in modules() for line in undocumented(module)] == []


def test_functions_are_short() -> None:
    assert [line for module in modules() for line in long_functions(module)] == []


def test_modules_are_short() -> None:
    def bound(module: Module) -> int:
        return TEST_MODULE_LINES_MAX if module.root == "tests" else MODULE_LINES_MAX

    lengths = {module: module.source.count("\n") for module in modules()}
    assert [m.name for m, length in lengths.items() if length > bound(m)] == []


def test_the_rules_of_size_and_documentation_see_offenders() -> None:
    body = "\n".join("    pass" for _ in range(FUNCTION_LINES_MAX))
    assert long_functions(module("long", f"def f():\n{body}"))
    assert not long_functions(module("short", f"def f():\n{body[9:]}"))
    assert undocumented(module("silent", "x = 1"))
    assert undocumented(module("unfinished", '"""No period"""'))
    assert not undocumented(module("empty", ""))


# Text that belongs to one machine


def foreign_text() -> re.Pattern[str]:
    """Absolute paths of machines, and hosts of registries: spelled so as not to find itself."""
    folders = ("work", "home", "root", "opt/wheels", "tmp")
    paths = [rf"/(?<![\w.~$}})\]*-]/){folder}/" for folder in folders]
    registries = ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com")
    more_registries = ("yarnpkg", "com"), ("crates", "io"), ("docker", "io")
    hosts = [rf"\b{name}\.{top}\b" for name, top in (*registries, *more_registries)]
    return re.compile("|".join((*paths, *hosts)))


def test_no_file_names_a_machine_or_a_registry() -> None:
    pattern, found = foreign_text(), []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("parts", "forbidden"),
    [
        (("cd ", "/", "tmp", "/x"), True),
        (("sqlite:///", "/", "home", "/me/x.db"), True),
        (("https://", "pypi", ".org", "/simple"), True),
        (("files.", "pythonhosted", ".org"), True),
        (("./", "tmp", "/x"), False),
        (("tests/", "work", "/x"), False),
        (("http://127.0.0.1/", "v1", "/x"), False),
    ],
)
def test_the_text_rule_tells_here_from_elsewhere(parts: tuple[str, ...], forbidden: bool) -> None:
    assert bool(foreign_text().search("".join(parts))) is forbidden


# Tables


CREATE_TABLE = re.compile(r"CREATE TABLE\s+(?:IF NOT EXISTS\s+)?(\w+)\s*(?=\()", re.IGNORECASE)
TABLE_KEY = re.compile(r"\s*PRIMARY KEY\s*\(\s*(\w+)", re.IGNORECASE)
COLUMN_KEY = re.compile(r"\s*(\w+)\s.*\bPRIMARY KEY\b", re.IGNORECASE | re.DOTALL)


def first_key_columns(sql: str) -> dict[str, str | None]:
    """For each table that `sql` creates, the first column of its primary key."""
    tables: dict[str, str | None] = {}
    for created in CREATE_TABLE.finditer(sql):
        definitions = _definitions(sql[created.end() :])
        keys = [TABLE_KEY.match(each) or COLUMN_KEY.match(each) for each in definitions]
        tables[created[1]] = next((key[1] for key in keys if key is not None), None)
    return tables


def _definitions(parenthesized: str) -> list[str]:
    """What stands between the first parenthesis and its partner, split at its own commas."""
    depth, parts = 0, [""]
    for character in parenthesized:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            break
        if character == "," and depth == 1:
            parts.append("")
        elif depth > 1 or character != "(":
            parts[-1] += character
    return parts


def sql_texts() -> Iterator[str]:
    """The SQL files, and the strings in the product's modules."""
    yield from (path.read_text() for path in files() if path.suffix == ".sql")
    for module in ours():
        for node in module.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_primary_key_begins_with_the_merchant() -> None:
    tables = {
        table: column for sql in sql_texts() for table, column in first_key_columns(sql).items()
    }
    wrong = {table: column for table, column in tables.items() if column != "merchant_id"}
    assert wrong.keys() == TABLES_OF_THE_RUNTIME.keys(), wrong


def test_the_key_rule_reads_both_ways_of_writing_a_key() -> None:
    sql = """
    CREATE TABLE good (a TEXT,
        merchant_id TEXT,
        PRIMARY KEY (merchant_id, a)
    );
    CREATE TABLE IF NOT EXISTS inline (
        a TEXT PRIMARY KEY,
        b TEXT CHECK (length(b) > 1)
    );
    CREATE TABLE none (
        a TEXT
    ) WITHOUT ROWID;
    CREATE TABLE one_line (a TEXT, b BIGINT, PRIMARY KEY (b, a));
    """
    assert first_key_columns(sql) == {
        "good": "merchant_id",
        "inline": "a",
        "none": None,
        "one_line": "b",
    }


# The runtime's semantics


def clauses_cited(text: str) -> set[str]:
    """Numbers after the word Clause or Clauses."""
    lists = re.findall(r"\bClauses?((?:(?:,|\s|and)+[A-Z]\d+)+)", text)
    return {number for numbers in lists for number in re.findall(r"[A-Z]\d+", numbers)}


def clauses_stated() -> set[str]:
    text = (ROOT / "docs" / "semantics.md").read_text()
    return set(re.findall(r"^- \*\*([A-Z]\d+)\*\*", text, re.MULTILINE))


@cache
def clauses_tested() -> set[str]:
    docs = [
        ast.get_docstring(node) or ""
        for module in modules()
        if module.root == "tests"
        for node in (module.tree, *module.definitions)
    ]
    return set().union(*map(clauses_cited, docs))


def test_every_clause_that_a_test_cites_exists() -> None:
    assert clauses_tested() - clauses_stated() == set()


def test_every_clause_is_cited_by_a_test() -> None:
    assert clauses_stated() - clauses_tested() == set()


def test_citations_are_read_in_all_their_forms() -> None:
    assert clauses_cited("Clause M1.") == {"M1"}
    assert clauses_cited("Clauses A4, S10 and L3: it holds.") == {"A4", "S10", "L3"}
    assert clauses_cited("A clause of M1") == set()
