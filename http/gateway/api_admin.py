"""The platform's own routes: registering merchants."""

from typing import Final

from actors.core.messages import MERCHANTS, Merchant, RegisterMerchant
from gateway.auditing import audited
from gateway.bodies import Body, Currency, Id, Text
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer


class MerchantBody(Body, frozen=True, kw_only=True):
    merchant_id: Id
    name: Text
    currency: Currency


async def register(request: ApiRequest) -> Answer:
    body: MerchantBody = request.body
    event = audited(
        request,
        "merchant.register",
        body.merchant_id,
        after={"name": body.name, "currency": body.currency},
        merchant_id=body.merchant_id,
    )
    command = RegisterMerchant(body.merchant_id, body.name, body.currency, (event,))
    return answer(accepted(await request.ask(MERCHANTS, command)), 201)


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/admin/merchants",
        handler=register,
        summary="Register a merchant; the same registration again changes nothing",
        tag="Platform",
        roles=OPERATORS,
        body=MerchantBody,
        responses={201: Response("The merchant", Merchant)},
        problems=(409, 422),
    ),
)
