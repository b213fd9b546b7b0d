from onetape import HOLD, Param, buy, strategy


@strategy
class BuyAndHold:
    """Buy once, on the first bar, and keep it: what every other strategy has to beat."""

    quantity = Param(100, low=1)

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0:
            return buy(self.quantity)
        return HOLD
