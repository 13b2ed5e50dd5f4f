"""`loyalnest sim`: simulate the application from seeds, and replay what failed."""

from collections.abc import Callable
from typing import TypeVar

import click

from cli.errors import EXIT_FAILED, EXIT_USAGE, CommandFailed

Part = TypeVar("Part")

DEFAULT_SCENARIO = "everything"
DEFAULT_SEEDS = 100
REPLAY_LINES = 60
NONE = "none"


@click.command("sim", short_help="Simulate the application under faults, from seeds.")
@click.option("--scenario", "name", default=DEFAULT_SCENARIO, metavar="NAME", show_default=True)
@click.option("--seeds", default=DEFAULT_SEEDS, show_default=True, help="how many to run")
@click.option("--first", default=0, metavar="SEED", help="the first of them")
@click.option("--seed", type=int, metavar="SEED", help="only this one, and show what happens")
@click.option("--steps", metavar="N,N", help="of that seed only these operations, or none")
@click.option("--events", metavar="N,N", help="of its fault plan only these events, or none")
@click.option("--chances", metavar="NAME,NAME", help="of its chances only these, or none")
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="PART.FIELD=VALUE",
    help="a value of that seed that is another one, such as step3.amount=1 or event0.at_s=0",
)
@click.option("--once", is_flag=True, help="do not run each seed twice to compare the digests")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="processes that run seeds at the same time  [default: one a core]",
)
@click.option("--list", "list_them", is_flag=True, help="list the scenarios")
def sim(  # noqa: PLR0913, PLR0917 - one argument an option
    name: str,
    seeds: int,
    first: int,
    seed: int | None,
    steps: str | None,
    events: str | None,
    chances: str | None,
    values: tuple[str, ...],
    once: bool,
    workers: int | None,
    list_them: bool,
) -> None:
    """Run a scenario of the whole application in virtual time, once for each seed.

    The seed decides everything: what clients do, what goes wrong and when, and in which order
    tasks run. The exit code is 1 when anything was found that must not be; the report ends with
    the command that shows it again.
    """
    from cli.simulating import (  # noqa: PLC0415 - simulations are loaded by those who run some
        find_scenario,
        list_scenarios,
        replay,
        run_many,
        workers_at_most,
    )

    if list_them:
        print("\n".join(list_scenarios()))
        return
    scenario = find_scenario(name)
    if seed is None:
        if values or (steps, events, chances) != (None, None, None):
            raise CommandFailed("--steps, --events, --chances and --set go with --seed", EXIT_USAGE)
        workers = workers if workers is not None else workers_at_most()
        failed = run_many(scenario, range(first, first + seeds), twice=not once, workers=workers)
    else:
        failed = replay(
            scenario,
            seed,
            steps=_chosen(steps, "--steps", int),
            events=_chosen(events, "--events", int),
            chances=_chosen(chances, "--chances", str),
            values=values,
            lines=REPLAY_LINES,
        )
    if failed:
        raise SystemExit(EXIT_FAILED)


def _chosen(
    text: str | None, option: str, convert: Callable[[str], Part]
) -> tuple[Part, ...] | None:
    """What an option chooses; None where it is not given."""
    if text is None or text == NONE:
        return None if text is None else ()
    try:
        return tuple(convert(part) for part in text.split(","))
    except ValueError as error:
        raise CommandFailed(f"{option}: {text!r} is not a list of them", EXIT_USAGE) from error
