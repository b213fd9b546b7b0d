from onetape import HOLD, Int, Param, SuperTrend, strategy, target, whole_lots


@strategy
class Supertrend:
    """Long while SuperTrend points up, flat (or short) while it points down; trades only when it turns.

    A band of average true ranges follows the price at a distance and only ever comes closer; the trend is over with the
    first close beyond it.

    Source: O. Seban, Tout le monde mérite d'être riche, 2008.
    Parameters: `multiple` is the room a trend has to breathe: 3 on daily bars; smaller turns sooner and more often.
    `short` 1 sells short as well.
    Fails: without a trend it turns at the worst prices again and again, each time for about `multiple` ATR; it gives
    back as much at the end of every trend.
    """

    period = Param(10, low=2, high=200, doc="bars of the average true range")
    multiple = Param(3.0, low=0.5, high=20.0, doc="average true ranges from the middle of a bar to its band")
    share = Param(0.1, low=0.001, high=1.0, doc="share of the equity in an instrument")
    short = Param(0, low=0, high=1, doc="1: short while it points down")
    line = SuperTrend(period, multiple)
    before = Int()  # its direction on the bar before, 0 before the first

    def on_bar(self, bar, ctx):
        now, before = int(self.line.direction), self.before
        self.before = now
        if before == 0 or now == before:
            return HOLD
        affordable = 0.95 * max(0.0, ctx.cash) / ctx.price
        qty = whole_lots(min(self.share * ctx.equity / ctx.unit_value, affordable), ctx.lot)
        return target(ctx, qty if now > 0 else -qty * self.short)
