"""What a query string says about points in time."""

from datetime import UTC, datetime

import pytest

from gateway.bodies import Body, Instant, query_decoder
from gateway.problems import Problem


class Between(Body, frozen=True, rename={"since": "from"}):
    since: Instant | None = None
    to: Instant | None = None


read = query_decoder(Between)


@pytest.mark.parametrize("text", ["5", "-840", "0.0", "1e3", "1.5E%2B2", "%2B7", "Infinity", "nan"])
def test_a_number_is_no_point_in_time(text: str) -> None:
    with pytest.raises(Problem) as caught:
        read(f"to=2026-01-01T00:00:00Z&from={text}".encode())
    assert caught.value.status == 422
    assert "`$.from`" in str(caught.value.detail)


def test_a_point_in_time_is_one_of_rfc_3339() -> None:
    assert read(b"from=2026-01-01T01:00:00%2B01:00") == Between(datetime(2026, 1, 1, tzinfo=UTC))
    assert read(b"") == Between()
