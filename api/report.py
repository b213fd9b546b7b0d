"""The report of a run as one self-contained HTML page. `api/report_terminal.py` prints the same figures.

`data` is the plain dict of a finished run: money and prices int in 1/10,000 of the currency, times int ns UTC.
"""

import base64
import hashlib
import shlex
from functools import cache
from pathlib import Path

import jinja2

from api import report_format as fmt
from api.report_chart import build_charts
from api.report_regimes import HEIGHT, key_paths, regime_rows, strips
from api.report_terminal import terminal_report
from projections.statistics import figures, monthly_returns, ratio

__all__ = ["html_report", "terminal_report"]

TRADES_MOST = 1_000  # rows in the page; beyond, the first and last half of it
BARS_MOST = 40  # rows of a bar list; beyond, the best and worst half of it
SEGMENTS_MOST = 6  # columns of charges
SETTLEMENTS_MOST = 40  # rows of them, the largest
HEAT_STEPS = 6
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def html_report(data):
    """The page as text: no network, no outside file, a content policy that allows only its own style and script."""
    return _environment().get_template("report.html").render(_view(data))


@cache
def _environment():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["csp_hash"] = _csp_hash
    return environment


def _csp_hash(text):
    """The source expression that admits exactly this inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()


def _minus(text):
    return text.replace("-", "−", 1) if text.startswith("-") else text


class _Words:
    """The formatting calls of the template, bound to the run's currency and zone."""

    def __init__(self, currency, timezone):
        self.currency, self.timezone = currency, timezone

    def money(self, units, places=2, signed=False):
        return _minus(fmt.money_text(units, self.currency, places, signed))

    def result(self, units, places=2):
        return self.money(units, places, signed=True)

    def price(self, units, scale=fmt.SCALE):
        return _minus(fmt.price_text(units, self.currency, scale))

    def inputs(self, data):
        return fmt.inputs_text(data)

    def trip(self, trip):
        return fmt.trip_line(trip, self.timezone)

    def count(self, number):
        return _minus(fmt.count_text(number, self.currency))

    def percent(self, fraction, places=2, signed=False):
        return _minus(fmt.percent_text(fraction, places, signed))

    def ratio(self, value, places=2):
        return _minus(fmt.ratio_text(value, places))

    def stamp(self, ts):
        return fmt.stamp_text(ts, self.timezone)

    def day(self, ts):
        return fmt.day_text(ts, self.timezone)

    def span(self, ns):
        return fmt.duration_text(ns)

    def drawdown(self, data):
        """When the largest share was lost, and the deepest fall in money, which may be another one."""
        when, deepest = data["max_drawdown_fraction_ts"], data["max_drawdown_ts"]
        parts = [f"{self.day(when[0])} to {self.day(when[1])},"] if when else []
        if deepest:
            parts.append(f"deepest {self.money(-data['max_drawdown'])}" + ("," if deepest != when else ""))
        if deepest and deepest != when:
            parts.append(f"{self.day(deepest[0])} to {self.day(deepest[1])}")
        return parts

    def tone(self, number):
        """The class that colours a result."""
        return "up" if (number or 0) > 0 else "down" if (number or 0) < 0 else ""

    def many(self, number, noun):
        return _minus(fmt.many_text(number, noun, self.currency))


def _view(data):
    """Everything the template names."""
    words = _Words(data["currency"], data["timezone"])
    charts = build_charts(data)
    trades = data["trades"]
    left_out = max(len(trades) - TRADES_MOST, 0)
    half = TRADES_MOST // 2
    return {
        "data": data,
        "words": words,
        "figures": figures(data),
        "charts": charts,
        "points": _hover_points(data, charts, words) if charts else [],
        "months": _month_table(data),
        "month_names": MONTHS,
        "strips": strips(data),
        "strip_height": HEIGHT,
        "key_paths": key_paths(),
        "regimes": regime_rows(data) if data["regimes"] else [],
        "instruments": _bar_list(data["by_instrument"], "symbol"),
        "strategies": _bar_list(data["by_strategy"], "strategy"),
        "charges": fmt.charge_table(data["charges"], SEGMENTS_MOST) if data["charges"] else None,
        "settlements": data["settlements"][:SETTLEMENTS_MOST],
        "settlements_charged": any(row["charges"] for row in data["settlements"]),
        "settlements_left_out": max(len(data["settlements"]) - SETTLEMENTS_MOST, 0),
        "trades_first": trades[:half] if left_out else trades,
        "trades_last": trades[-half:] if left_out else [],
        "trades_left_out": left_out,
        "trades_half": half,
        "several_strategies": len({trade["strategy"] for trade in trades}) > 1,
        "sql_command": f"onetape sql --run {shlex.quote(data['run_id'])} 'SELECT * FROM trades ORDER BY opened_ts'",
        "replay_command": f"onetape replay {shlex.quote(data['run_id'])}",
    }


def _hover_points(data, charts, words):
    """[x and y in 1/100 percent, time, equity, drawdown, exposure] of each point the equity line draws."""
    points, equity_chart = data["equity"], charts["equity"]
    span = equity_chart["high"] - equity_chart["low"]
    rows = []
    for i in charts["keep"]:
        equity, exposure = points["equity"][i], points["exposure"][i]
        rows.append([
            round(10_000 * float(charts["x"][i])),
            round(10_000 * (equity_chart["high"] - equity) / span),
            words.stamp(points["ts"][i]),
            words.money(equity),
            words.percent(float(charts["drawdown_values"][i])),
            words.money(exposure, 0),
        ])  # fmt: skip
    return rows


def _month_table(data):
    """[(year, twelve (fraction, heat class) or None, year's return)] when the run touches more than two months."""
    points = data["equity"]
    months = monthly_returns(points["ts"], points["equity"], data["timezone"], data["cash"])
    if len(months) <= 2:
        return []
    most = max((abs(fraction) for _, _, fraction in months if fraction is not None), default=0.0)
    years: dict = {}
    for year, month, fraction in months:
        cells = years.setdefault(year, [None] * 12)
        cells[month - 1] = (fraction, _heat(fraction, most))
    return [(year, cells, _compound(cells)) for year, cells in years.items()]


def _heat(fraction, most):
    if not fraction or not most:
        return ""
    step = max(1, round(HEAT_STEPS * abs(fraction) / most))
    return f"{'p' if fraction > 0 else 'n'}{step}"


def _compound(cells):
    total = 1.0
    for cell in cells:
        if cell is not None:
            if cell[0] is None:
                return None
            total *= 1.0 + cell[0]
    return total - 1.0


def _bar_list(rows, name):
    """Rows by net, best first, with the bar's place in percent of a width that holds the extremes and zero."""
    rows = sorted(rows, key=lambda row: (-row["net"], row[name]))
    low = min([0] + [row["net"] for row in rows])
    high = max([0] + [row["net"] for row in rows])
    span = high - low
    shown = [
        {
            "name": row[name],
            "row": row,
            "start": round(100 * (ratio(min(row["net"], 0) - low, span) or 0.0), 2),
            "width": round(100 * (ratio(abs(row["net"]), span) or 0.0), 2),
        }
        for row in rows
    ]
    left_out = max(len(shown) - BARS_MOST, 0)
    if left_out:
        shown = shown[: BARS_MOST // 2] + shown[-BARS_MOST // 2 :]
    return {"rows": shown, "zero": round(100 * (ratio(-low, span) or 0.0), 2), "left_out": left_out}
