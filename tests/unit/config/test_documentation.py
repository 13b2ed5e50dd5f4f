"""The configuration page tells of every setting, with its default."""

from pathlib import Path

import attrs

from config.policies import DEPENDENCIES, PolicySettings, knobs
from config.settings import specs

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "configuration.md"
POLICIES = DOCS / "policies.md"


def rows(page: Path) -> list[list[str]]:
    """The cells of all tables whose first column is code."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_setting_is_on_the_page_with_its_default() -> None:
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(PAGE) if len(cells) == 3}
    assert {spec.name: spec.default for spec in specs()}.items() <= told.items()


def test_every_knob_of_the_policies_is_on_their_page_with_the_profile() -> None:
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(POLICIES)}
    profile = {knob.name: knob.default for knob in knobs("points")}
    own = DEPENDENCIES["points"]
    names = [field.name for field in attrs.fields(PolicySettings)]
    assert told.keys() >= set(names)
    assert {name: told[name] for name in names if name not in own} == {
        name: profile[name] for name in names if name not in own
    }


def test_what_a_dependency_has_of_its_own_is_on_the_page() -> None:
    told = {
        name: cells[1]
        for cells in rows(POLICIES)
        for name in cells[0].replace("`", "").split(", ")
        if name in DEPENDENCIES
    }
    assert told == {
        name: ", ".join(f"`{knob}` {value}" for knob, value in own.items())
        for name, own in DEPENDENCIES.items()
    }
