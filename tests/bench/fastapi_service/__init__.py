"""What a Python developer would otherwise write: FastAPI, uvicorn, asyncpg, a transaction each.

One route, `POST /v1/points/earn`, with the product's tables, validation, idempotency, postings,
lots and hash chain, as idiomatic and as tuned as a good team would have it. What it leaves out
is to its advantage: pending earnings, expiry of what is due, row-level security, logs, metrics.
"""
