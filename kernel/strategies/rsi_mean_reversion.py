from onetape import HOLD, Param, Rsi, Sma, strategy, target, target_percent


@strategy
class RsiMeanReversion:
    """Buy a short, sharp fall (RSI of 2 bars below 10) in a long uptrend; sell on a close above the 5-bar mean.

    Sellers of a few days in a rising market are often in a hurry, and are paid back within days.

    Source: L. Connors and C. Alvarez, Short Term Trading Strategies That Work, 2008 (RSI-2); RSI of J. W. Wilder, 1978.
    Parameters: a lower `oversold` trades less often after deeper falls; `trend` is the average that the close has to be
    above; `recovery` is the short mean at which it leaves.
    Fails: when the long trend breaks: it has no stop, by the authors' design, and holds what falls until a bounce. Wins
    are many and small, losses few and large.
    """

    period = Param(2, low=2, high=50, doc="bars of the RSI")
    oversold = Param(10.0, low=0.5, high=50.0, doc="RSI below which it buys")
    trend = Param(200, low=2, high=1000, doc="bars of the average the close has to be above")
    recovery = Param(5, low=2, high=100, doc="bars of the average above which it sells")
    share = Param(0.1, low=0.001, high=1.0, doc="share of the equity in an instrument")
    rsi = Rsi(period)
    long_mean = Sma(trend)
    short_mean = Sma(recovery)

    def on_bar(self, bar, ctx):
        if ctx.position > 0:
            return target(ctx, 0) if bar.close > self.short_mean.value else HOLD
        if bar.close > self.long_mean.value and self.rsi.value < self.oversold and ctx.cash > self.share * ctx.equity:
            return target_percent(ctx, self.share)
        return HOLD
