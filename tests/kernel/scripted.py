"""A strategy that says what the test wrote into its memory: signal k is placed at bar (or fill) number `at[k]`."""

from kernel.frame import INTENT
from kernel.indicators import Indicator
from kernel.jit import jit_helper
from onetape import HOLD, Int, Signal, helper, place, strategy

SIGNALS = 48


@jit_helper
def _nothing(m, bar):
    return


class Script(Indicator):
    """Room for the signals of a test; updating it does nothing."""

    update = staticmethod(_nothing)

    def fields(self):
        return [("size", "i8"), ("at", "i8", (SIGNALS,)), ("signals", INTENT, (SIGNALS,))]


@helper
def send(script, now, ctx):
    """Ask for what `script` holds for `now`."""
    for k in range(script.size):
        if script.at[k] == now:
            i = script.signals[k]
            place(
                ctx,
                Signal(
                    i.action, i.side, i.qty, i.order_type, i.tif, i.instrument, i.ref, i.flags, i.product, i.expire_ts,
                    i.price, i.trigger_price, i.trail, i.strength,
                ),
            )  # fmt: skip


@strategy
class Scripted:
    """Places what is written for this bar, and what is written for this fill."""

    on_bars = Script()
    on_fills = Script()
    fills = Int()

    def on_bar(self, bar, ctx):
        send(self.on_bars, self.bars_seen, ctx)
        return HOLD

    def on_fill(self, fill, ctx):
        self.fills += 1
        send(self.on_fills, self.fills, ctx)
        return HOLD
