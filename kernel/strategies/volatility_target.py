from onetape import HOLD, Param, RealizedVolatility, strategy, target, whole_lots


@strategy
class VolatilityTarget:
    """Always long, more of it when prices are calm and less when they are wild: the same risk at all times.

    Volatility of the last weeks says much about that of the next and little about returns, so a position that is scaled
    by its inverse has steadier risk for about the same return. Long only: it times risk, not direction.

    Source: A. Moreira and T. Muir, Volatility-Managed Portfolios, Journal of Finance 72:4, 2017; the buffer as in R.
    Carver, Systematic Trading, 2015.
    Parameters: `goal` is what `share` of the equity would lose or win in a year, one standard deviation; `most` caps
    the position in calm times; `buffer` keeps it from trading every bar; `bars_a_year` has to fit the bars (252 for
    daily).
    Fails: in crashes out of calm, when it holds most, and in sharp recoveries, when it holds least.
    """

    period = Param(20, low=5, high=500, doc="bars volatility is measured over")
    goal = Param(0.15, low=0.01, high=1.0, doc="volatility a year to hold")
    share = Param(0.1, low=0.001, high=1.0, doc="share of the equity in an instrument whose volatility is `goal`")
    most = Param(1.5, low=0.1, high=10.0, doc="times `share`, at most")
    buffer = Param(0.1, low=0.0, high=1.0, doc="share of the wanted position it may be off by before it trades")
    bars_a_year = Param(252.0, low=1.0, high=1_000_000.0, doc="bars in a year")
    volatility = RealizedVolatility(period, bars_a_year)

    def on_bar(self, bar, ctx):
        if not ctx.unit_value > 0.0 or not self.volatility.value > 0.0:
            return HOLD
        scale = min(self.most, self.goal / self.volatility.value)
        here = ctx.position + ctx.pending_qty
        affordable = here + 0.95 * max(0.0, ctx.cash) / ctx.price
        wanted = whole_lots(min(scale * self.share * ctx.equity / ctx.unit_value, affordable), ctx.lot)
        if abs(wanted - here) <= self.buffer * wanted:
            return HOLD
        return target(ctx, wanted)
