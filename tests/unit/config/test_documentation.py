"""The configuration page tells of every setting, with its default."""

from pathlib import Path

from config.settings import specs

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    told = {cells[1].strip(" `"): cells[2].strip(" `") for cells in rows if len(cells) == 5}
    assert {spec.name: spec.default for spec in specs()}.items() <= told.items()
