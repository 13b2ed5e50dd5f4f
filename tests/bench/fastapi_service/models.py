"""Bodies of the service's one route."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from actors.vocabulary import ID_PATTERN, MAX_AMOUNT

Id = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]


class EarnBody(BaseModel):
    """Points for a member."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer_id: Id
    amount: Annotated[int, Field(ge=1, le=MAX_AMOUNT, strict=True)]
    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
    order_id: Id | None = None
    effective_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None


class Balance(BaseModel):
    posted: int
    held: int
    available: int
    pending: int


class Receipt(BaseModel):
    """What was done, and the balance right after it."""

    transaction_id: str
    customer_id: str
    sequence: int
    kind: str
    amount: int
    balance: Balance
    recorded_at: datetime
