"""Numbers, money and times as text. Money and prices are int in 1/10,000 of the currency; None reads "–"."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SCALE = 10_000
NONE = "–"
_SYMBOLS = {"INR": "₹", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_COMPACT = {"INR": ((10**7, " Cr"), (10**5, " L"))}
_COMPACT_ELSEWHERE = ((10**9, "B"), (10**6, "M"), (10**3, "K"))


def count_text(count, currency="USD"):
    """A whole number with the digit groups of the currency's readers: INR 12,34,567, others 1,234,567."""
    if count is None:
        return NONE
    digits, sign = str(abs(count)), "-" if count < 0 else ""
    if currency != "INR" or len(digits) <= 3:
        return f"{sign}{abs(count):,}"
    head, groups = digits[:-3], [digits[-3:]]
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return sign + ",".join(groups)


def money_text(units, currency, places=2, signed=False):
    """Money as ₹12,34,567.89 or $1,234,567.89: rounded half up (a tie away from zero) to 0..4 places."""
    if units is None:
        return NONE
    step = 10 ** (4 - places)
    rounded = (2 * abs(units) + step) // (2 * step)  # in the last place shown
    whole, rest = divmod(rounded, 10**places)
    sign = "" if rounded == 0 else "-" if units < 0 else "+" if signed else ""
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    return f"{sign}{symbol}{count_text(whole, currency)}" + (f".{rest:0{places}d}" if places else "")


def price_text(units, currency, scale=SCALE):
    """A price of `scale` units without symbol, with two places, or four, or all it has where that is not enough."""
    if units is None:
        return NONE
    places = len(str(scale)) - 1
    whole, rest = divmod(abs(units), scale)
    decimals = f"{rest:0{places}d}".rstrip("0") if places else ""
    shown = decimals.ljust(2 if len(decimals) <= 2 else 4, "0")
    return ("-" if units < 0 else "") + f"{count_text(whole, currency)}.{shown}"


def charge_table(rows, most):
    """Charges as ([segment], [(item, [amount by segment], sum)], [sum by segment], sum): beyond `most` segments, the
    smaller ones are one column."""
    sums: dict = {}
    for row in rows:
        sums[row["segment"]] = sums.get(row["segment"], 0) + row["amount"]
    first = sorted(sums, key=lambda name: -abs(sums[name]))[: most if len(sums) <= most else most - 1]
    names = [name for name in sums if name in first] + ["others"] * (len(first) < len(sums))
    items: dict = {}
    for row in rows:
        cells = items.setdefault(row["item"], [0] * len(names))
        cells[names.index(row["segment"]) if row["segment"] in first else -1] += row["amount"]
    columns = [sum(cells[k] for cells in items.values()) for k in range(len(names))]
    return [name or "no segment" for name in names], [(i, c, sum(c)) for i, c in items.items()], columns, sum(columns)


def inputs_text(data):
    """What a run was fed with, bars made of trades among the bars: 750 bars, 1,080 quotes, 720 trades."""
    named = (("bars", "bar"), ("quotes", "quote"), ("market_trades", "trade"))
    parts = [many_text(data[name], noun, data["currency"]) for name, noun in named if data[name]]
    return ", ".join(parts) or "no bars"


def many_text(number, noun, currency):
    """1 bar, 2 bars."""
    return f"{count_text(number, currency)} {noun}" + ("" if number == 1 else "s")


def trip_line(trip, timezone):
    """A trip in a sentence, with who did it and why where a person or a file says so."""
    if trip["kind"] != "TRIPPED":
        what = "the kill switch was reset"
    else:
        what = f"kill switch at {trip['level']}" if trip["level"] else f"{trip['strategy']} stopped"
        what += f": {trip['text']}" if trip["text"] else ""
    said = (f" by {trip['who']}" if trip["who"] else "") + (f": {trip['why']}" if trip["why"] else "")
    return f"{stamp_text(trip['ts'], timezone)} {what}{said}"


def axis_text(units, currency, step_units):
    """Money for an axis whose labels lie `step_units` apart: ₹10.25 L, $1.2M, or in full where that is not exact."""
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    for size, suffix in _COMPACT.get(currency, _COMPACT_ELSEWHERE):
        unit = size * SCALE
        for places in range(3):
            if abs(units) >= unit and step_units * 10**places % unit == 0 and units * 10**places % unit == 0:
                return f"{'-' if units < 0 else ''}{symbol}{abs(units) / unit:.{places}f}{suffix}"
    return money_text(units, currency, 0 if step_units % SCALE == 0 else 2)


def percent_text(fraction, places=2, signed=False):
    """0.1234 as 12.34%."""
    if fraction is None or not math.isfinite(fraction):
        return NONE
    text = f"{fraction * 100:{'+' if signed else ''},.{places}f}"
    return (text.lstrip("+-") if not text.strip("+-0.,") else text) + "%"


def ratio_text(value, places=2):
    return NONE if value is None or not math.isfinite(value) else f"{value:,.{places}f}"


def duration_text(span_ns):
    """The two largest units of a time span: 41 days, 2 days 3 h, 3 h 20 min, 45 s, 12 ms."""
    if span_ns is None:
        return NONE
    if span_ns < 1_000_000_000:
        return f"{span_ns / 1e6:.3g} ms"
    seconds = span_ns // 1_000_000_000
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        text = "1 day" if days == 1 else f"{days} days"
        return f"{text} {hours} h" if hours and days < 10 else text
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {seconds % 60} s" if seconds % 60 else f"{minutes} min"
    return f"{seconds} s"


def local_time(ts_ns, timezone):
    """The moment as an aware datetime of the zone; below microseconds is cut."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts_ns // 1000)).astimezone(ZoneInfo(timezone))


def stamp_text(ts_ns, timezone, seconds=False):
    """2026-03-04 10:15 local time, or 10:15:30 with seconds."""
    if ts_ns is None:
        return NONE
    return local_time(ts_ns, timezone).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def day_text(ts_ns, timezone):
    """4 Mar 2026."""
    if ts_ns is None:
        return NONE
    moment = local_time(ts_ns, timezone)
    return f"{moment.day} {moment:%b %Y}"
