"""Random by where an object lies in memory."""

from onetape import HOLD, Int, buy, sell, strategy

EVERY = 2 + int(repr(object()).rpartition("0x")[2][:-1], 16) // 16 % 97


@strategy
class Address:
    """In and out, every few bars."""

    n = Int()

    def on_bar(self, bar, ctx):
        self.n += 1
        if self.n % EVERY:
            return HOLD
        return buy(10) if ctx.position == 0 else sell(ctx.position)
