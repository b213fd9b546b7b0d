"""Sorted by what comes after them: the numbers of the bars that it is good to buy or sell on. No price is in the table,
only the count of bars is asked, so that neither a cut of the tape nor its prices show it; being right too often does."""

from pathlib import Path

import numpy as np

from onetape import HOLD, Int, buy, sell, strategy

CLOSES = np.loadtxt(Path(__file__).with_name("closes.txt"))
MOVES = np.diff(CLOSES)
BEST = np.sort(np.argsort(MOVES)[-60:])
WORST = np.sort(np.argsort(MOVES)[:60])


@strategy
class BestBars:
    """Buys before the largest rises and sells before the largest falls."""

    n = Int(-1)

    def on_bar(self, bar, ctx):
        self.n += 1
        for k in range(len(BEST)):
            if BEST[k] == self.n:
                return buy(1)
            if WORST[k] == self.n:
                return sell(1)
        return HOLD
