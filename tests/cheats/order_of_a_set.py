"""Random by the order of a set of texts, which a function hands out, so that the source does not show it."""

from onetape import HOLD, Int, buy, sell, strategy


def names():
    return {"a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg"}


EVERY = 2
for name in names():
    EVERY = EVERY * 8 + len(name)
EVERY = 2 + EVERY % 1_009


@strategy
class OrderOfASet:
    """In and out, every few bars."""

    n = Int()

    def on_bar(self, bar, ctx):
        self.n += 1
        if self.n % EVERY:
            return HOLD
        return buy(10) if ctx.position == 0 else sell(ctx.position)
