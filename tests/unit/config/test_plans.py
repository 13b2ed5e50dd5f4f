"""Plan files: what they say, and one line for each thing that is wrong with them."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from config.plans import DOMAINS, RestartBounds, load_plan
from config.plans.loading import PlanError

ROOT = Path(__file__).parents[3]
PLANS = sorted((ROOT / "config/plans").glob("*.toml"))

TWO = """
[shards.edge]
domains = ["auth", "admin_core", "admin_features", "core", "products"]
http = "127.0.0.1:8080"
link = "127.0.0.1:7401"

[shards.rest]
domains = [
  "referrals", "campaign", "points", "gamification", "rfm_analytics", "event_tracking",
]
link = "127.0.0.1:7402"
"""


@pytest.fixture
def problems(tmp_path: Path) -> Callable[[str], list[str]]:
    """What is wrong with a plan, without the name of its file."""

    def load(text: str) -> list[str]:
        path = tmp_path / "plan.toml"
        path.write_text(text)
        with pytest.raises(PlanError) as refusal:
            load_plan(path)
        lines = str(refusal.value).splitlines()
        assert lines == [f"plan {path}: {problem}" for problem in refusal.value.problems]
        return list(refusal.value.problems)

    return load


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_that_come_with_the_program_place_every_domain_once(path: Path) -> None:
    plan = load_plan(path)
    placed = [domain for shard in plan.shards.values() for domain in shard.domains]
    assert sorted(placed) == sorted(DOMAINS)
    assert plan.home("points").name in plan.shards
    assert plan.edges


def test_a_plan_says_only_what_differs_from_the_usual(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TWO)
    plan = load_plan(path)
    assert [shard.name for shard in plan.edges] == ["edge"]
    assert [shard.name for shard in plan.inner] == ["rest"]
    assert (plan.relay, plan.restarts) == ("rest", RestartBounds(5, 30.0))
    assert (plan.shards["rest"].memory_mib, plan.shards["rest"].silence_s) == (None, 10.0)
    with pytest.raises(KeyError):
        plan.home("weather")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"auth", ', "", "domain auth is in no shard"),
        ('"core"', '"core", "points"', "domain points is named 2 times, in edge, rest"),
        (
            '"core"',
            '"cor", "core"',
            "shards.edge.domains: cor is not a domain; did you mean core?",
        ),
        (
            'http = "127.0.0.1:8080"',
            'http = "8080"',
            "shards.edge.http: '8080' is wrong; allowed: host:port or [ipv6]:port, with a port",
        ),
        ("http =", "metrics =", "no shard serves the API; give one an http address"),
        (
            "127.0.0.1:7402",
            "127.0.0.1:7401",
            "shards.rest.link: 127.0.0.1:7401 is the address of shards.edge.link already",
        ),
        (
            'link = "127.0.0.1:7402"',
            "",
            "shards.rest: there are other shards, so it needs a link address",
        ),
        (
            "127.0.0.1:7402",
            "127.0.0.1:0",
            "shards.rest.link: others have to know the port, so it cannot be 0",
        ),
        ("[shards.edge]", "[shards.edge]\nmemory_mib = 1", "shards.edge.memory_mib: expected"),
        ("[shards.edge]", "[shards.edge]\nsilence = 1", "shards.edge: object contains unknown"),
        ("[shards.edge]", "[shards.Edge]", "shards.Edge: a name has small letters"),
        ("[shards.edge]", 'relay = "egde"\n[shards.edge]', "relay: egde is not a shard; did you"),
        ("[shards.edge]", 'reley = "edge"\n[shards.edge]', "reley is not a part of a plan; did"),
        ("[shards.edge]", "[restarts]\nmost = 0\n[shards.edge]", "restarts.most: expected"),
    ],
)
def test_a_wrong_plan_is_refused_with_one_line_that_says_what_and_where(
    problems: Callable[[str], list[str]], old: str, new: str, problem: str
) -> None:
    assert old in TWO
    (line,) = problems(TWO.replace(old, new, 1))
    assert line.startswith(problem)


def test_everything_that_is_wrong_is_told_at_once(problems: Callable[[str], list[str]]) -> None:
    text = TWO.replace('"auth", ', "").replace("http = ", "metrics = ")
    assert len(problems(text)) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there are no shards; each is a table [shards.NAME]"),
        ("[shards", "not TOML:"),
        ("shards = 3", "there are no shards; each is a table [shards.NAME]"),
        ("[shards]\nedge = 3", "shards.edge: expected `object`, got `int`"),
    ],
)
def test_what_is_no_plan_at_all_is_told_as_such(
    problems: Callable[[str], list[str]], text: str, problem: str
) -> None:
    assert problems(text)[0].startswith(problem)


def test_a_plan_that_is_not_there_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere\.toml: No such file"):
        load_plan(tmp_path / "nowhere.toml")


def test_the_page_about_shards_shows_the_plan_that_comes_with_the_program() -> None:
    page = (ROOT / "docs/shards.md").read_text()
    shown = page.partition("```toml\n")[2].partition("```")[0]
    assert tomllib.loads(shown) == tomllib.loads((ROOT / "config/plans/three.toml").read_text())
