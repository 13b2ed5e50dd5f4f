"""The chapters of the demo. Each does by HTTP what a shop would, and waits for what follows."""

from typing import Any, Final

import attrs

from cli.story.stage import Chapter, Stage, opening

ADA, BEN = "ada-lindqvist", "ben-lindqvist"
FOR_ADVOCATE, FOR_FRIEND = 500, 250
BAR_WIDTH = 30


@attrs.frozen
class Act:
    """A chapter with its title; played where the build has its `routes`."""

    title: str
    play: Chapter
    routes: tuple[str, ...] = ()


async def segments_of_today(stage: Stage) -> list[str]:
    await stage.member(ADA, "Ada Lindqvist")
    return await _segments(stage, "Ada joins; she has never ordered")


async def double_points(stage: Stage) -> list[str]:
    body = {
        "name": "Double points in bloom",
        "kind": "multiplier",
        "multiplier": {"percent": 200},
    }
    campaign = (await stage.ask("POST", "/v1/campaigns", body))["campaign_id"]
    await stage.ask("POST", f"/v1/campaigns/{campaign}/start")
    await stage.until(f"/v1/campaigns/{campaign}", lambda c: c["state"] == "running", "the start")
    return ["a multiplier of 200% runs for everybody"]


async def badge_offered(stage: Stage) -> list[str]:
    badge = {"name": "First bouquet", "description": "for a first order"}
    await stage.ask("PUT", "/v1/badges/first-bouquet", badge)
    rule = {"name": "First order", "badge_id": "first-bouquet", "metric": "orders", "target": 1}
    await stage.ask("PUT", "/v1/achievements/first-order", rule)
    return ["a first order is worth the badge “First bouquet”"]


async def order_comes_in(stage: Stage) -> list[str]:
    await stage.order(ADA, "story-1", 8_400)
    path = f"/v1/customers/{ADA}/balance"
    balance = await stage.until(path, lambda b: b["posted"] > 0, "the points of the order")
    doubled = " (84, doubled)" if balance["posted"] == 168 else ""
    return ["Ada orders roses for $84.00", f"she has {balance['posted']} points{doubled}"]


async def badge_awarded(stage: Stage) -> list[str]:
    path = f"/v1/customers/{ADA}/badges"
    found = await stage.until(path, lambda page: page["items"], "the badge")
    return [f"Ada got the badge “{item['badge_id']}”" for item in found["items"]]


async def friend_referred(stage: Stage) -> list[str]:
    program = {"return_days": 0, "advocate_points": FOR_ADVOCATE, "friend_points": FOR_FRIEND}
    await stage.ask("PUT", "/v1/referrals/program", program)
    invitation = {"channel": "link", "advocate_id": ADA}
    code = (await stage.ask("POST", "/v1/referrals", invitation))["code"]
    await stage.member(BEN, "Ben Lindqvist")
    await stage.ask("POST", f"/v1/referrals/{code}/claim", {"customer_id": BEN})
    await stage.order(BEN, "story-2", 4_900)
    path = f"/v1/referrals?advocate_id={ADA}"
    await stage.until(
        path, lambda p: any(item["state"] == "rewarded" for item in p["items"]), "the reward"
    )
    ada = await stage.points(ADA)
    earned = f"/v1/customers/{BEN}/balance"
    ben = await stage.until(earned, lambda b: b["posted"] > FOR_FRIEND, "the points of Ben's order")
    return [
        f"Ada passes on {code}; Ben claims it, and orders for $49.00",
        f"the referral qualifies and is rewarded: {FOR_ADVOCATE} for Ada, {FOR_FRIEND} for Ben",
        f"Ada has {ada} points, Ben {ben['posted']} (49, doubled, and the reward)",
    ]


async def segments_anew(stage: Stage) -> list[str]:
    return await _segments(stage)


async def _segments(stage: Stage, *before: str) -> list[str]:
    """A run, and where Ada is by it."""
    run = (await stage.ask("POST", "/v1/rfm/runs", {}))["run_id"]
    path = f"/v1/rfm/runs/{run}"
    over = {"published", "failed", "skipped"}
    found = await stage.until(path, lambda r: r["state"] in over, "the run")
    if found["state"] != "published":
        return [f"the run was {found['state']}: {found['reason']}"]
    shown = await stage.ask("GET", f"/v1/customers/{ADA}/rfm")
    segments = await stage.ask("GET", "/v1/rfm/segments")
    was, stage.segment = stage.segment, shown["segment"]
    moved = f"Ada is in the segment “{stage.segment}”"
    if was is not None:
        moved = f"Ada moves from “{was}” to “{stage.segment}”"
    return [*before, moved, *_bars(segments["segments"])]


def _bars(segments: list[dict[str, Any]]) -> list[str]:
    """Sizes as a picture."""
    sizes = [(each["name"], each["customers"]) for each in segments if each["customers"]]
    largest = max(size for _, size in sizes)
    return [f"{name:<20}{size:>4}  {'▇' * -(-size * BAR_WIDTH // largest)}" for name, size in sizes]


async def broadcast(stage: Stage) -> list[str]:
    audience: dict[str, object] = {"kind": "all"}
    if stage.segment is not None:
        audience = {"kind": "segment", "names": [stage.segment]}
    content = {
        "channel": "email",
        "subject": "{{ customer.name }}, peonies are here",
        "body": (
            "Dear {{ customer.name }},\n\npeonies have come in, and you see them first.\n\n"
            "{{ shop.name }}\n\nNo more of these: {{ links.unsubscribe }}\n"
        ),
    }
    body = {
        "name": "Peonies",
        "kind": "broadcast",
        "broadcast": {"content": content},
        "audience": audience,
    }
    before = len(await stage.mails())
    campaign = (await stage.ask("POST", "/v1/campaigns", body))["campaign_id"]
    await stage.ask("POST", f"/v1/campaigns/{campaign}/start")
    path = f"/v1/campaigns/{campaign}/stats"
    found = await stage.until(
        path, lambda s: s["deliveries"] and s["deliveries"]["ended_at"], "the broadcast"
    )
    told = found["deliveries"]
    mails = await stage.mails()
    whom = f"the segment “{stage.segment}”" if stage.segment is not None else "everybody"
    counts = f"{told['sent']} sent, {told['suppressed']} wanted none, {told['failed']} failed"
    lines = [f"a mail to {whom}: {told['recipients']} recipients, {counts}"]
    lines.append(f"{len(mails) - before} files in {stage.outbox}")
    hers = [mail for mail in mails if ADA in mail.name][-1:]
    return [*lines, *(f"│ {line}" for mail in hers for line in opening(mail))]


ACTS: Final = (
    Act("The customers are segmented", segments_of_today, ("/v1/rfm/runs",)),
    Act("A campaign doubles what orders earn", double_points, ("/v1/campaigns",)),
    Act("A badge is there to be won", badge_offered, ("/v1/badges/{badge_id}",)),
    Act("An order comes in", order_comes_in),
    Act("The badge is awarded", badge_awarded, ("/v1/customers/{customer_id}/badges",)),
    Act("A friend is referred", friend_referred, ("/v1/referrals/{code}/claim",)),
    Act("Segments are computed anew", segments_anew, ("/v1/rfm/runs",)),
    Act("A broadcast goes out", broadcast, ("/v1/campaigns",)),
)
"""In the order in which they are played."""
