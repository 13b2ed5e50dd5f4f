"""The merchant route: the caller's own merchant."""

from typing import Final

from actors.core.messages import MERCHANTS, GetMerchant, Merchant
from gateway.problems import not_found
from gateway.routes import STAFF, Answer, ApiRequest, Response, Route, answer


async def show(request: ApiRequest) -> Answer:
    merchant = await request.ask(MERCHANTS, GetMerchant(request.merchant_id))
    if merchant is None:
        raise not_found("the merchant is not registered")
    return answer(merchant)


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/merchant",
        handler=show,
        summary="The merchant of the access token",
        tag="Merchant",
        roles=STAFF,
        responses={200: Response("The merchant", Merchant)},
        problems=(404,),
    ),
)
