"""The words of a charge schedule, each with its number, and the row of whole numbers that the kernel takes."""

from enum import IntEnum
from typing import NamedTuple


class Item(IntEnum):
    """A line of a contract note."""

    BROKERAGE = 0
    STT = 1
    TRANSACTION = 2
    IPFT = 3
    SEBI = 4
    STAMP = 5
    GST = 6
    DP = 7


class Basis(IntEnum):
    """What a charge is a share of, and how often it is taken."""

    VALUE = 0  # share of a fill's value
    ORDER = 1  # flat and share of an order's executed value so far, capped, once per executed order
    ITEMS = 2  # share of other items of the note, `of` says which
    EXERCISE = 3  # share of the intrinsic value when an option is exercised by its holder
    DAY = 4  # flat per instrument and day sold net


class ChargeRow(NamedTuple):
    """One rule in force for one segment. `rate` counts 1e-9; `flat`, `cap` and `round` count 1/10,000 rupee."""

    item: int
    segment: int  # place in the list that was asked for, from 1
    product: int  # 0 any, 1 INTRADAY, 2 DELIVERY; MARGIN is charged as DELIVERY
    side: int  # 1 BUY, -1 SELL, 0 both
    since: int  # ns UTC, a local midnight
    until: int  # ns UTC, the first local midnight after; OPEN when no end is known
    basis: int
    rate: int
    flat: int
    cap: int  # 0: none
    of: int  # ITEMS: bit `1 << item` for each
    round: int  # the item's sum of a note is rounded half up to a multiple of it


OPEN = 2**63 - 1  # later than any time of a tape
