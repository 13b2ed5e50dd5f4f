"""The gamification domain's children."""

from collections.abc import Callable

from actors.gamification.boards import Boards
from actors.gamification.definitions import Definitions
from actors.gamification.evaluation import reached
from actors.gamification.intake import Intake
from actors.gamification.jobs import gamification_jobs
from actors.gamification.judging import Judge
from actors.gamification.known_matches import KnownMatches
from actors.gamification.matching import PATTERNS, Patterns
from actors.gamification.messages import BOARDS, DEFINITIONS, INTAKE, PLAYERS
from actors.gamification.player import Player
from actors.gamification.rulebook import Rulebook
from runtime import REFUSING, Actor, ChildSpec, Entities, MailboxSpec, Overflow
from runtime.storage import Database, Migrations

__all__ = ["MIGRATIONS", "StartPatterns", "gamification_children", "gamification_jobs"]

MIGRATIONS = Migrations("gamification", "actors.gamification.migrations")

MAX_ACTIVE_PLAYERS = 5_000

PLAYER_MAILBOX = MailboxSpec(capacity=64, overflow=Overflow.REJECT)

StartPatterns = Callable[[], Actor]
"""Starts what matches article numbers with patterns."""


def gamification_children(
    database: Database, start_patterns: StartPatterns = Patterns, judge: Judge = reached
) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start. `judge` evaluates one rule."""
    rulebook, known = Rulebook(database), KnownMatches()

    def players() -> Entities:
        return Entities(
            PLAYERS,
            lambda _key: Player(database, rulebook, known, judge),
            max_active=MAX_ACTIVE_PLAYERS,
            mailbox=PLAYER_MAILBOX,
        )

    return (
        ChildSpec("patterns", start_patterns, name=PATTERNS, mailbox=REFUSING),
        ChildSpec(
            "definitions",
            lambda: Definitions(database, rulebook),
            name=DEFINITIONS,
            mailbox=REFUSING,
        ),
        ChildSpec("players", players, name=PLAYERS, shutdown_s=10.0),
        ChildSpec("intake", lambda: Intake(rulebook), name=INTAKE, mailbox=REFUSING),
        ChildSpec("boards", lambda: Boards(database, rulebook), name=BOARDS, mailbox=REFUSING),
    )
