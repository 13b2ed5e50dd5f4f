"""Example values for JSON schemas, for the documentation."""

from typing import Any, Final

Json = dict[str, Any]

BY_NAME: Final[dict[str, Any]] = {
    "customer_id": "cus_42",
    "order_id": "order-1001",
    "transaction_id": "tx_01JZX5V8N3",
    "merchant_id": "flora",
    "job_id": "job_01JZX5V8N3",
    "message_id": "5f0c9a1e",
    "event_id": "ev_01JZX5V8N3",
    "consumer": "points.intake",
    "provider": "shopify",
    "topic": "orders-paid",
    "channel": "email",
    "part": "0",
    "email": "ada@example.com",
    "support_email": "hello@example.com",
    "phone": "+41 79 123 45 67",
    "website": "https://shop.example.com",
    "time_zone": "Europe/Zurich",
    "locale": "de-CH",
    "account": "flora.myshopify.com",
    "source": "shopify",
    "external_id": "7055",
    "plan_id": "monthly",
    "hold_id": "hold_01JZX5V8N3",
    "idempotency_key": "order-1001-earn",
    "display_name": "Ada",
    "reason": "purchase",
    "currency": "EUR",
    "sku": "ROSES-12",
    "skus": ["ROSES-12"],
    "name": "Twelve roses",
    "expires_after_days": 365,
    "amount": 100,
    "points": 1,
    "per_amount_minor": 100,
    "total_minor": 2_599,
    "price_minor": 2_599,
    "unit_price_minor": 2_599,
    "password": "nine green bicycles",
    "new_password": "seven blue umbrellas",
    "scopes": ["orders:read", "orders:write"],
    "permissions": ["orders:read"],
    "role_id": "clerk",
    "account_id": "acc_01JZX5V8N3",
    "key_id": "key_01JZX5V8N3",
    "badge_id": "regular",
    "achievement_id": "ten-orders",
    "board_id": "spenders",
    "cycle": "2026-11",
    "image_url": "https://shop.example.com/regular.png",
    "sku_pattern": "ROSES-.*",
    "request_id": "prv_01JZX5V8N3",
}

DATE_TIME: Final = "2026-05-01T12:00:00Z"


def example(schema: Json, components: Json, name: str = "", *, only_required: bool = True) -> Any:
    """A value that fits the schema; of an object, the required properties or all of them."""
    if "$ref" in schema:
        referred = components[schema["$ref"].rpartition("/")[2]]
        return example(referred, components, name, only_required=only_required)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], components, name, only_required=only_required)
    if name in BY_NAME:
        return BY_NAME[name]
    if schema.get("type") == "object":
        return _object(schema, components, only_required=only_required)
    if schema.get("type") == "array":
        return [example(schema.get("items", {}), components, only_required=only_required)]
    return _scalar(schema)


def _object(schema: Json, components: Json, *, only_required: bool) -> Json:
    required = schema.get("required", ())
    return {
        name: example(property_, components, name, only_required=only_required)
        for name, property_ in schema.get("properties", {}).items()
        if name in required or not only_required
    }


def _scalar(schema: Json) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("format") == "date-time":
        return DATE_TIME
    match schema.get("type"):
        case "integer":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case "null":
            return None
    return "text"
