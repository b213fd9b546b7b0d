from onetape import HOLD, Bollinger, Int, Param, bracket, buy, cancel, reduce_only, sell, strategy, whole_lots


@strategy
class BollingerReversion:
    """Buy when the close comes back above the lower Bollinger band, sell at the middle; a stop waits below.

    What left the band is bought only on its way back, since a close outside alone may begin a trend.

    Source: J. Bollinger, Bollinger on Bollinger Bands, 2001; reversion to the middle as in P. Kaufman, Trading Systems
    and Methods, 2013.
    Parameters: a larger `multiple` asks for a rarer fall; `stop` is in widths of the half band, from the close that was
    bought: below 1 it is hit by noise.
    Fails: in trends, where prices walk along a band and each return to it is brief, and in gaps through the stop.
    """

    period = Param(20, low=3, high=500, doc="bars of the bands")
    multiple = Param(2.0, low=0.5, high=5.0, doc="standard deviations from the mean to a band")
    stop = Param(1.5, low=0.1, high=10.0, doc="half bands from the bought close to the stop")
    share = Param(0.1, low=0.001, high=1.0, doc="share of the equity in an instrument")
    bands = Bollinger(period, multiple)
    outside = Int()  # 1: the last close was below the lower band

    def on_bar(self, bar, ctx):
        came_back = self.outside == 1 and self.bands.lower <= bar.close < self.bands.value
        self.outside = int(bar.close < self.bands.lower)
        if ctx.position > 0 and ctx.pending_qty == 0 and bar.close >= self.bands.value:
            cancel(ctx)
            return reduce_only(sell(ctx.position))
        if not came_back or ctx.position != 0 or ctx.pending_qty != 0:
            return HOLD
        qty = whole_lots(min(self.share * ctx.equity / ctx.unit_value, 0.95 * ctx.cash / ctx.price), ctx.lot)
        if qty > 0:
            bracket(ctx, buy(qty), stop_loss=bar.close - self.stop * (self.bands.value - self.bands.lower))
        return HOLD
