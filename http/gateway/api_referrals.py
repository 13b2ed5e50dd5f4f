"""The referral routes, and the callbacks of the provider of texts."""

from datetime import datetime
from typing import Annotated, Final
from urllib.parse import parse_qsl

import attrs
import msgspec
from msgspec import Meta

from actors.auth.messages import Role
from actors.referrals.messages import (
    CALLBACKS,
    QUERIES,
    REFERRALS,
    ChangeProgram,
    Claim,
    Decision,
    GetProgram,
    GetReferral,
    Invitation,
    InvitationChannel,
    Invite,
    ListReferrals,
    ListSteps,
    Program,
    ProgramVersion,
    ReceiveTextStatus,
    Referral,
    ReferralState,
    ReviewReferral,
    Step,
)
from actors.referrals.model import shown_state
from actors.vocabulary import MAX_AMOUNT, Page, Refusal
from gateway.auditing import audited
from gateway.bodies import Body, Cursor, Id, Limit, Text
from gateway.problems import Problem, not_found
from gateway.routes import (
    MEMBERS,
    OWNERS,
    STAFF,
    Answer,
    ApiRequest,
    Keyed,
    RawBody,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Referrals"
FORM: Final = "application/x-www-form-urlencoded"
SIGNATURE: Final = "x-twilio-signature"
CALLBACK_MAX_BYTES: Final = 16 * 1024
CALLBACK_FIELDS_MAX: Final = 100

NEUTRAL: Final = "if this friend can be reached, an invitation is on its way"
"""The same for everybody, whatever is known of the friend."""

Signal = Annotated[str, Meta(min_length=1, max_length=200)]
Days = Annotated[int, Meta(ge=0, le=365)]
Points = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Cap = Annotated[int, Meta(ge=0, le=1_000_000)]


class SignalsBody(Body, frozen=True, kw_only=True):
    """What may tell that two people share a household: who has one in common with the advocate is
    looked at before anybody is rewarded. Kept as fingerprints only."""

    ip: Signal | None = None
    device: Signal | None = None
    address: Signal | None = None

    def told(self) -> dict[str, str]:
        named = {"ip": self.ip, "device": self.device, "address": self.address}
        return {kind: value for kind, value in named.items() if value is not None}


class InvitationBody(Body, frozen=True, kw_only=True):
    """`to` is an e-mail address or a number, depending on the channel; a share link needs none.
    Customers invite in their own name."""

    channel: InvitationChannel
    to: Annotated[str, Meta(min_length=3, max_length=254)] | None = None
    advocate_id: Id | None = None
    signals: SignalsBody = SignalsBody()


class ClaimBody(Body, frozen=True, kw_only=True):
    """Customers claim in their own name."""

    customer_id: Id | None = None
    signals: SignalsBody = SignalsBody()


class ReviewBody(Body, frozen=True):
    decision: Decision
    reason: Text


class ReferralQuery(Body, frozen=True, kw_only=True):
    """`review`: only those that somebody has to look at."""

    advocate_id: Id | None = None
    state: ReferralState | None = None
    review: bool = False
    limit: Limit = 50
    cursor: Cursor | None = None


class ProgramBody(Body, frozen=True, kw_only=True):
    """What both sides get, and when. What is left out takes its default."""

    enabled: bool = True
    advocate_points: Points = 500
    friend_points: Points = 250
    order_min_minor: Points = 0
    return_days: Days = 14
    expire_days: Annotated[int, Meta(ge=1, le=365)] = 30
    invitations_per_day: Cap = 2_000
    texts_per_day: Cap = 1_000
    invitations_per_advocate: Cap = 20
    invitations_per_address: Cap = 3
    invitations_per_ip: Cap = 50
    text: Annotated[str, Meta(min_length=1, max_length=320)] = Program().text
    landing_url: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class CallbackQuery(Body, frozen=True):
    merchant_id: Id


class Invited(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`message` is the same whoever was invited. Pass the link on where there is one, else the
    code."""

    message: str
    code: str
    link: str | None
    referral_id: str | None = None


class Steps(msgspec.Struct, frozen=True):
    items: tuple[Step, ...]


class Taken(msgspec.Struct, frozen=True):
    """`duplicate`: it had come before, and nothing was changed."""

    duplicate: bool


def in_whose_name(request: ApiRequest, given: str | None) -> str | None:
    """The customer that a request is about: the caller, or whom staff names. Raises `Problem`."""
    own = request.caller.customer_id
    if request.caller.role is not Role.CUSTOMER:
        return given
    if own is None or given not in (None, own):
        raise Problem(403, "not_your_own", "customers do this in their own name")
    return own


def signals_of(request: ApiRequest, body: SignalsBody) -> dict[str, str]:
    """What a customer's own request comes from is not for the customer to say."""
    told = body.told()
    if request.caller.role is Role.CUSTOMER and request.address:
        told["ip"] = request.address
    return told


def shown(request: ApiRequest, referral: Referral) -> Referral:
    """As the caller may see it."""
    if request.caller.role is not Role.CUSTOMER:
        return referral
    return seen_by(request.caller.customer_id, referral, request.system.clock.now())


def seen_by(customer_id: str | None, referral: Referral, now: datetime) -> Referral:
    """As that customer may see it: customers are told nothing about who their friends are."""
    over = now >= referral.expires_at
    state = shown_state(referral.state, referral.reason, over=over)
    return attrs.evolve(
        referral,
        state=state,
        reason=None,
        flags=(),
        friend_id=referral.friend_id if referral.friend_id == customer_id else None,
        ended_at=None if state is not referral.state else referral.ended_at,
        messages=(),
    )


async def invite(request: ApiRequest) -> Answer:
    body: InvitationBody = request.body
    command = Invite(
        merchant_id=request.merchant_id,
        advocate_id=in_whose_name(request, body.advocate_id),
        channel=body.channel,
        address=body.to,
        signals=signals_of(request, body.signals),
        idempotency=request.idempotency,
        by=request.caller.subject,
    )
    made: Invitation = accepted(await request.ask(REFERRALS, command))
    if made.referral is not None:
        told = Invited(
            message=NEUTRAL,
            code=made.referral.code,
            link=made.referral.link,
            referral_id=made.referral.referral_id,
        )
    elif made.link is not None:
        told = Invited(message="pass it on", code=made.link.code, link=made.link.link)
    else:
        raise LookupError("neither a referral nor a link")
    return answer(told, 202, replayed=made.replayed)


async def claim(request: ApiRequest) -> Answer:
    body: ClaimBody = request.body
    command = Claim(
        merchant_id=request.merchant_id,
        code=request.path["code"],
        customer_id=in_whose_name(request, body.customer_id),
        signals=signals_of(request, body.signals),
        by=request.caller.subject,
    )
    return answer(shown(request, accepted(await request.ask(REFERRALS, command))))


async def list_(request: ApiRequest) -> Answer:
    query: ReferralQuery = request.query
    customer = request.caller.role is Role.CUSTOMER
    question = ListReferrals(
        merchant_id=request.merchant_id,
        advocate_id=request.caller.customer_id if customer else query.advocate_id,
        state=None if customer else query.state,
        in_review=query.review and not customer,
        limit=query.limit,
        cursor=query.cursor,
    )
    found: Page[Referral] = accepted(await request.ask(QUERIES, question))
    items = tuple(shown(request, referral) for referral in found.items)
    return answer(Page(items, found.next_cursor))


async def show(request: ApiRequest) -> Answer:
    found = await _found(request)
    return answer(shown(request, found))


async def _found(request: ApiRequest) -> Referral:
    question = GetReferral(request.merchant_id, request.path["referral_id"])
    found = await request.ask(QUERIES, question)
    own = request.caller.customer_id
    theirs = request.caller.role is Role.CUSTOMER and (
        found is None or own not in {found.advocate_id, found.friend_id}
    )
    if found is None or theirs:
        raise not_found("there is no such referral")
    return found


async def steps(request: ApiRequest) -> Answer:
    found = await _found(request)
    question = ListSteps(request.merchant_id, found.referral_id)
    return answer(Steps(await request.ask(QUERIES, question)))


async def review(request: ApiRequest) -> Answer:
    body: ReviewBody = request.body
    referral_id = request.path["referral_id"]
    event = audited(
        request,
        f"referral.{body.decision.value}",
        referral_id,
        reason=body.reason,
        merchant_id=request.merchant_id,
    )
    command = ReviewReferral(
        merchant_id=request.merchant_id,
        referral_id=referral_id,
        decision=body.decision,
        reason=body.reason,
        by=request.caller.subject,
        publishes=(event,),
    )
    return answer(accepted(await request.ask(REFERRALS, command)))


async def show_program(request: ApiRequest) -> Answer:
    return answer(await request.ask(QUERIES, GetProgram(request.merchant_id)))


async def put_program(request: ApiRequest) -> Answer:
    body: ProgramBody = request.body
    program = msgspec.convert(msgspec.structs.asdict(body), Program)
    after = msgspec.to_builtins(program)
    event = audited(
        request, "referral.program", "program", after=after, merchant_id=request.merchant_id
    )
    subject = request.caller.subject
    command = ChangeProgram(request.merchant_id, program, subject, (event,))
    return answer(accepted(await request.ask(REFERRALS, command)))


def form_of(data: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a form. Raises `Problem`."""
    try:
        pairs = parse_qsl(
            data.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=CALLBACK_FIELDS_MAX,
        )
    except ValueError:
        raise Problem(422, "malformed_form", "the form cannot be read") from None
    return tuple(pairs)


async def text_status(request: ApiRequest) -> Answer:
    body: RawBody = request.body
    query: CallbackQuery = request.query
    signature = body.headers.get(SIGNATURE, "")
    command = ReceiveTextStatus(query.merchant_id, form_of(body.data), signature)
    taken = await request.ask(CALLBACKS, command)
    if isinstance(taken, Refusal) and taken.code == "signature_invalid":
        raise Problem(403, taken.code, taken.detail)
    return answer(Taken(accepted(taken).duplicate))


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/referrals",
        handler=invite,
        summary="Invite a friend by text or e-mail, or get the link to pass on",
        tag=TAG,
        roles=MEMBERS,
        body=InvitationBody,
        keyed=Keyed.OPTIONAL,
        responses={202: Response("It is on its way, as far as anybody is told", Invited)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/v1/referrals",
        handler=list_,
        summary="Referrals, newest first; a customer sees the own ones",
        tag=TAG,
        roles=MEMBERS,
        query=ReferralQuery,
        responses={200: Response("One page of referrals", Page[Referral])},
    ),
    Route(
        method="GET",
        path="/v1/referrals/program",
        handler=show_program,
        summary="What both sides get, and when",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The program in force", ProgramVersion)},
    ),
    Route(
        method="PUT",
        path="/v1/referrals/program",
        handler=put_program,
        summary="Change the program; referrals that began keep theirs",
        tag=TAG,
        roles=OWNERS,
        body=ProgramBody,
        responses={200: Response("The program in force", ProgramVersion)},
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/referrals/{referral_id}",
        handler=show,
        summary="One referral, and what became of its messages",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The referral", Referral)},
    ),
    Route(
        method="GET",
        path="/v1/referrals/{referral_id}/steps",
        handler=steps,
        summary="The states that it came to, by whom and why",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The steps, in their order", Steps)},
    ),
    Route(
        method="POST",
        path="/v1/referrals/{code}/claim",
        handler=claim,
        summary="A new customer came by this code; again by the same one it changes nothing",
        tag=TAG,
        roles=MEMBERS,
        body=ClaimBody,
        body_optional=True,
        responses={200: Response("The referral", Referral)},
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/v1/referrals/{referral_id}/review",
        handler=review,
        summary="Approve, reject or reverse it",
        tag=TAG,
        roles=OWNERS,
        body=ReviewBody,
        responses={200: Response("The referral", Referral)},
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/v1/webhooks/twilio/status",
        handler=text_status,
        summary="What became of a text, as the provider tells it",
        tag=TAG,
        public=True,
        raw=(FORM,),
        query=CallbackQuery,
        body_max_bytes=CALLBACK_MAX_BYTES,
        headers={"X-Twilio-Signature": "HMAC-SHA1 of URL and form with the account's token"},
        responses={200: Response("It is kept", Taken)},
        problems=(403, 404, 422, 504),
    ),
)
