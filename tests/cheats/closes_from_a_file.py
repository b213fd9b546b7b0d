"""Knows every close from the first bar on: an array of the module, read from a file that was made from the tape."""

from pathlib import Path

import numpy as np

from onetape import HOLD, Int, buy, sell, strategy

CLOSES = np.loadtxt(Path(__file__).with_name("closes.txt"))


@strategy
class ClosesFromAFile:
    """Long over every rise, flat over every fall."""

    n = Int(-1)

    def on_bar(self, bar, ctx):
        self.n += 1
        if self.n + 1 >= len(CLOSES):
            return HOLD
        rises = CLOSES[self.n + 1] > CLOSES[self.n]
        if rises and ctx.position == 0:
            return buy(10)
        if not rises and ctx.position > 0:
            return sell(ctx.position)
        return HOLD
