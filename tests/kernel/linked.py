"""A strategy that uses every way in which orders hang together, bar after bar."""

from onetape import (
    HOLD,
    Param,
    bracket,
    buy,
    buy_limit,
    buy_stop,
    cancel,
    modify,
    one_cancels_other,
    place,
    reduce_only,
    sell,
    sell_limit,
    sell_stop,
    sell_trailing_stop,
    strategy,
    when_filled,
)


@strategy
class Linked:
    """Bars of the instrument decide what is asked for, prices only how far away."""

    distance = Param(0.6, low=0.01)

    def on_bar(self, bar, ctx):
        step = self.bars_seen % 23
        near, far = self.distance, 3 * self.distance
        if step == 1:
            bracket(ctx, buy(10), stop_loss=bar.close - far, take_profit=bar.close + near)
        elif step == 3:
            bracket(
                ctx, buy_limit(7, bar.close - near), stop_loss=bar.close - far, trail=near, take_profit=bar.close + far
            )
        elif step == 5:
            modify(ctx, price=bar.close - near / 2)
        elif step == 8:
            one_cancels_other(ctx, buy_stop(4, bar.close + near), sell_stop(4, bar.close - near))
        elif step == 11:
            when_filled(ctx, buy(3), sell_trailing_stop(3, near))
        elif step == 13 and ctx.position > 0:
            place(ctx, reduce_only(sell_limit(100, bar.close + near)))
        elif step == 16:
            cancel(ctx)
        elif step == 18 and ctx.position > 0:
            return sell(ctx.position)
        elif step == 18 and ctx.position < 0:
            return buy(-ctx.position)
        return HOLD
