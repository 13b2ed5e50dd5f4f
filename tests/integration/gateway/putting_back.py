"""Hostile input that dead letters and dead events have to stand alike."""

from collections.abc import Sequence
from typing import Any

from actors.auth.messages import Role
from tests.integration.gateway.helpers import MERCHANT, Api, outcome_of
from tests.integration.gateway.test_hostile_input import (
    FORGED,
    INVALID,
    JSON,
    MALFORMED,
    UNKNOWN_FIELD,
    Case,
    ask,
    forged_cursor,
    get,
)

REASON = {"reason": "the number was corrected"}
FORGED_TEXT = (["\0", "a"], ["a", "b\0"], ["a"], ["a", None])


def back(
    name: str, expected: tuple[int, str], path: str, template: str, body: Any = REASON
) -> Case:
    return Case(name=name, expected=expected, path=path, template=template, json=body, key=None)


def put_backs_refused(path: str, template: str) -> list[Case]:
    """Bodies for something that is really dead."""
    bodies: dict[str, tuple[tuple[int, str], Any]] = {
        "no reason": (INVALID, {}),
        "reason empty": (INVALID, {"reason": ""}),
        "reason too long": (INVALID, {"reason": "x" * 201}),
        "reason with a newline": (INVALID, {"reason": "a\nb"}),
        "reason with NUL": (INVALID, {"reason": "a\0b"}),
        "reason a number": (INVALID, {"reason": 7}),
        "somebody else's name": (UNKNOWN_FIELD, REASON | {"by": "the owner"}),
        "another payload": (UNKNOWN_FIELD, REASON | {"payload": {}}),
        "an array": (INVALID, []),
    }
    return [
        *(
            back(name, expected, path, template, body)
            for name, (expected, body) in bodies.items()
        ),
        Case(name="not JSON", expected=MALFORMED, content=b"reason", headers=JSON,
             path=path, template=template, key=None),
        Case(name="no content type", expected=(415, "unsupported_media_type"),
             content=b'{"reason":"x"}', path=path, template=template, key=None),
    ]  # fmt: skip


def lists_refused(path: str) -> list[Case]:
    """Queries for a list."""
    return [
        get("limit zero", INVALID, f"{path}?limit=0", path),
        get("limit huge", INVALID, f"{path}?limit=201", path),
        get("parameter nobody knows", UNKNOWN_FIELD, f"{path}?merchant_id={MERCHANT}", path),
        *(
            get(f"forged cursor {value}", (422, "invalid_cursor"),
                f"{path}?cursor={forged_cursor(value)}", path)
            for value in (*FORGED, *FORGED_TEXT)
        ),
    ]  # fmt: skip


async def wrong_outcomes(api: Api, cases: Sequence[Case]) -> dict[str, Any]:
    """By name, the cases that do not end as they should, each with both outcomes.

    Fails for a status that the API's own document does not mention.
    """
    documented = (await api.client.get("/v1/openapi.json")).json()["paths"]
    token = api.token(Role.PLATFORM)
    wrong = {}
    for case in cases:
        reply = await ask(api, case, token)
        if outcome_of(reply) != case.expected:
            wrong[case.name] = (outcome_of(reply), case.expected)
        operation = documented.get(case.template, {}).get(case.method.lower())
        if operation is not None:
            assert str(reply.status_code) in operation["responses"], case.name
    return wrong
