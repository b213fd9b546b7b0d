from onetape import HOLD, Param, buy, strategy


@strategy
class BuyAndHold:
    """Buy once, on the first bar, and keep it: what every other strategy has to beat.

    Nobody knows the next turn, and each trade costs something: holding pays neither.

    Source: B. Malkiel, A Random Walk Down Wall Street, 1973; W. F. Sharpe, The Arithmetic of Active Management, 1991.
    Parameters: `quantity` is of each instrument, so that dear ones weigh more than cheap ones.
    Fails: it falls as far as what it holds, and stays in what never comes back.
    """

    quantity = Param(100, low=1, high=1_000_000_000, doc="units of each instrument")

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0:
            return buy(self.quantity)
        return HOLD
