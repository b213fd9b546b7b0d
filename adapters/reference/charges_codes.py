"""The row of whole numbers that the kernel takes of a charge schedule."""

from typing import NamedTuple


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
