"""The trading day of a bar, told by programs that ask for it, so that others pay nothing."""

from kernel.frame import ZONE
from kernel.jit import jit_indicator, record_view
from kernel.rows import MARKET

DAY = 86_400_000_000_000
_market, _zone, _MARKET, _ZONE = record_view(MARKET), record_view(ZONE), MARKET.itemsize, ZONE.itemsize


@jit_indicator
def tell_session(frame):
    """Write `session` and `session_open` of the bar in `frame`.

    The day is the local one on which its session opened, so that a session over midnight is one; without a calendar, or
    outside its hours, the local day on which the bar opened.
    """
    bar, instrument = frame.bar, frame.ctx.instrument
    m = _market(frame.markets + instrument * _MARKET)
    bar.session_open = m.session_open if m.closed == 0 and m.session_open <= bar.ts_open else 0
    began = bar.session_open if bar.session_open > 0 else bar.ts_open
    bar.session = (began + _zone(frame.zones + instrument * _ZONE).utc_offset) // DAY
