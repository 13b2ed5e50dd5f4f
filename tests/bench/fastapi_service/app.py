"""The service: its pool of connections, its authentication, its route."""

import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated

import jwt
from asyncpg import Pool, UniqueViolationError, create_pool
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tests.bench.fastapi_service.earning import earn
from tests.bench.fastapi_service.models import EarnBody, Receipt

DATABASE_VARIABLE = "BENCH_DATABASE_URL"
SECRET_VARIABLE = "BENCH_SECRET"
ALGORITHM = "HS256"

CONNECTIONS = 8
"""The best of 4, 8, 16 and 32 on two cores."""

ATTEMPTS = 2
"""A key that was used at the same moment is found at the second attempt."""

bearer = HTTPBearer()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = os.environ[DATABASE_VARIABLE]
    async with create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        app.state.pool = pool
        gc.collect()
        gc.freeze()
        yield


app = FastAPI(lifespan=lifespan)


async def pool_of(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


async def merchant_of(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> str:
    """The merchant that the token was issued for."""
    merchant_id, expires_at = _claims(credentials.credentials)
    if expires_at <= time.time():
        raise HTTPException(401, "the token has expired")
    return merchant_id


@lru_cache(maxsize=10_000)
def _claims(token: str) -> tuple[str, float]:
    """Merchant and expiry of a token. The signature of one is checked once."""
    try:
        claims = jwt.decode(
            token,
            os.environ[SECRET_VARIABLE],
            [ALGORITHM],
            options={"require": ["exp", "merchant_id"]},
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "the token is not valid") from None
    return claims["merchant_id"], claims["exp"]


@app.post("/v1/points/earn")
async def post_earn(
    body: EarnBody,
    response: Response,
    merchant_id: Annotated[str, Depends(merchant_of)],
    pool: Annotated[Pool, Depends(pool_of)],
    idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
) -> Receipt:
    """Credit points to a member."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with pool.acquire() as connection:
                receipt, replayed = await earn(connection, merchant_id, idempotency_key, body)
            break
        except UniqueViolationError:
            if attempt == ATTEMPTS:
                raise
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return receipt
