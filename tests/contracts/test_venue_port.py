"""The Venue port: orders leave once, and only when they are durable."""

from collections.abc import Callable

import pytest

from adapters.venues.simulated import SimulatedVenue
from kernel.codes import Kind
from kernel.ports import Venue
from kernel.schema import events

VENUES: list[Callable[..., Venue]] = [SimulatedVenue]
SUBMITTED, CANCEL, SIGNAL, BAR = (
    int(k) for k in (Kind.ORDER_SUBMITTED, Kind.ORDER_CANCEL_SUBMITTED, Kind.SIGNAL, Kind.BAR)
)


def rows(*pairs: tuple[int, int]):
    """Rows of (seq, kind)."""
    made = events(len(pairs))
    for row, (seq, kind) in zip(made, pairs, strict=True):
        row["seq"], row["kind"] = seq, kind
    return made


@pytest.fixture(params=VENUES)
def make(request) -> Callable[..., Venue]:
    return request.param


def test_sends_orders_and_cancels_and_nothing_else(make):
    venue = make()
    assert venue.send(rows((1, BAR), (2, SIGNAL), (3, SUBMITTED), (4, CANCEL)), 4) == 2
    assert venue.send(rows((5, BAR), (6, SIGNAL)), 0) == 0
    assert venue.send(rows(), 0) == 0
    assert venue.send(rows((7, SUBMITTED)), 7) == 1


def test_refuses_what_is_not_durable(make):
    venue = make()
    with pytest.raises(AssertionError, match="before it was durable"):
        venue.send(rows((3, SUBMITTED), (4, CANCEL)), 3)
    assert venue.send(rows((3, SUBMITTED), (4, CANCEL)), 4) == 2


@pytest.mark.parametrize("seq", [1, 5, 9])
def test_never_sends_twice(make, seq):
    venue = make()
    venue.send(rows((9, SUBMITTED)), 9)
    with pytest.raises(AssertionError, match="sent twice"):
        venue.send(rows((seq, SUBMITTED)), 100)


def test_knows_after_a_restart_what_was_sent(make):
    venue = make(12)
    with pytest.raises(AssertionError, match="sent twice"):
        venue.send(rows((12, SUBMITTED)), 12)
    assert venue.send(rows((13, SUBMITTED)), 13) == 1
