"""The chapters of the demo. Each does by HTTP what a shop would, and waits for what follows."""

from typing import Final

import attrs

from cli.story.stage import Chapter, Stage, opening

ADA, BEN = "ada-lindqvist", "ben-lindqvist"


@attrs.frozen
class Act:
    """A chapter with its title; played where the build has its `routes`."""

    title: str
    play: Chapter
    routes: tuple[str, ...] = ()


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
    await stage.member(ADA, "Ada Lindqvist")
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
    program = {"return_days": 0, "advocate_points": 500, "friend_points": 250}
    await stage.ask("PUT", "/v1/referrals/program", program)
    invitation = {"channel": "link", "advocate_id": ADA}
    code = (await stage.ask("POST", "/v1/referrals", invitation))["code"]
    await stage.member(BEN, "Ben Lindqvist")
    await stage.ask("POST", f"/v1/referrals/{code}/claim", {"customer_id": BEN})
    before = await stage.points(ADA)
    await stage.order(BEN, "story-2", 4_900)
    path = f"/v1/referrals?advocate_id={ADA}"
    qualified = {"qualified", "rewarded"}
    found = await stage.until(
        path, lambda p: any(item["state"] in qualified for item in p["items"]), "the referral"
    )
    lines = [f"Ada passes on {code}; Ben claims it, and orders for $49.00"]
    state = next(item["state"] for item in found["items"] if item["state"] in qualified)
    if state == "rewarded":
        return [*lines, f"the referral is rewarded: Ada has {await stage.points(ADA)} points"]
    return [*lines, f"the referral is {state}; it is rewarded soon (Ada has {before} points now)"]


async def segments_run(stage: Stage) -> list[str]:
    run = (await stage.ask("POST", "/v1/rfm/runs", {}))["run_id"]
    path = f"/v1/rfm/runs/{run}"
    over = {"published", "failed", "skipped"}
    found = await stage.until(path, lambda r: r["state"] in over, "the run")
    if found["state"] != "published":
        return [f"the run was {found['state']}: {found['reason']}"]
    shown = await stage.ask("GET", f"/v1/customers/{ADA}/rfm")
    segments = await stage.ask("GET", "/v1/rfm/segments")
    sizes = {item["name"]: item["customers"] for item in segments["segments"]}
    stage.segment = shown["segment"]
    told = ", ".join(f"{name} {size}" for name, size in sizes.items() if size)
    return [f"Ada was nobody's; now she is in “{shown['segment']}”", told]


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
    return [*lines, *(f"│ {line}" for line in opening(mails[-1]) if line)] if mails else lines


ACTS: Final = (
    Act("A campaign doubles what orders earn", double_points, ("/v1/campaigns",)),
    Act("A badge is there to be won", badge_offered, ("/v1/badges/{badge_id}",)),
    Act("An order comes in", order_comes_in),
    Act("The badge is awarded", badge_awarded, ("/v1/customers/{customer_id}/badges",)),
    Act("A friend is referred", friend_referred, ("/v1/referrals/{code}/claim",)),
    Act("Segments are computed anew", segments_run, ("/v1/rfm/runs",)),
    Act("A broadcast goes out", broadcast, ("/v1/campaigns",)),
)
"""In the order in which they are played."""
