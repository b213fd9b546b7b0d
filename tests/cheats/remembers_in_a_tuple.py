"""Remembers outside its memory: an array in a named tuple of the module, across instruments and runs. Machine code has
the array as it was at first."""

from typing import NamedTuple

import numpy as np

from onetape import HOLD, buy, sell, strategy


class Box(NamedTuple):
    count: np.ndarray


BOX = Box(np.zeros(1))


@strategy
class RemembersInATuple:
    """In and out, every third call of any instrument."""

    def on_bar(self, bar, ctx):
        count = BOX.count
        count[0] = count[0] + 1.0
        if count[0] % 3.0 > 0.5:
            return HOLD
        return buy(10) if ctx.position == 0 else sell(ctx.position)
