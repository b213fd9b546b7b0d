"""Hangs on the day the run begins: only how many bars went by decides."""

from onetape import HOLD, Int, buy, sell, strategy


@strategy
class CountedBars:
    """Buys on every 17th bar, sells on the next."""

    n = Int()

    def on_bar(self, bar, ctx):
        self.n += 1
        if ctx.position > 0:
            return sell(ctx.position)
        return buy(10) if self.n % 17 == 0 else HOLD
