"""No module of the gateway asks a domain but through its pipeline."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

GATEWAY = Path(__file__).parents[3] / "http" / "gateway"

REFERENCES = {"ref", "entities", "signal", "tell"}
"""Methods that give or use a reference to an actor."""

ASKING = {"ask_all", "ActorRef", "EntityRef", "Region"}
"""Names of the runtime that ask without any method above."""

EXCEPTIONS = {
    "domains": "it is the way",
    "introspection": "it looks at any actor, and asks none for its work",
}


def offences(source: str) -> Iterator[str]:
    """What in a module could reach an actor past its pipeline."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in REFERENCES and not _is_own(node.func.value):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runtime"):
            yield from (alias.name for alias in node.names if alias.name in ASKING)


def _is_own(receiver: ast.expr) -> bool:
    """An actor may signal itself."""
    return ast.unparse(receiver) in {"self", "self.ref"}


def test_only_one_module_of_the_gateway_has_references_to_actors() -> None:
    found = {
        path.stem: told
        for path in GATEWAY.glob("*.py")
        if (told := list(offences(path.read_text())))
    }
    assert found.keys() == EXCEPTIONS.keys(), found


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("await request.system.ref(QUERIES).ask(question)", True),
        ("account = system.entities(ACCOUNTS)", True),
        ("from runtime import ask_all", True),
        ("from runtime.ref import ActorRef", True),
        ("system.ref(RELAY).tell(Nudge())", True),
        ("await request.ask(QUERIES, question)", False),
        ("await self._domains.ask(KEYS, question, repeatable=True)", False),
        ("from runtime import Actor, ActorSystem", False),
    ],
)
def test_the_rule_tells_the_one_way_from_others(source: str, caught: bool) -> None:
    assert bool(list(offences(source))) is caught
