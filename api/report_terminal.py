"""The report of a run on a terminal: 80 columns, with or without colour, in ASCII where that is all."""

from itertools import pairwise

import numpy as np
from rich.box import ROUNDED
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api import report_format as fmt
from api.report_regimes import summary_line
from projections.statistics import figures

COLUMNS, ROWS = 60, 5  # of the equity curve, in characters; a braille character holds 2 x 4 dots
TRADES_SHOWN = 5
SEGMENTS_MOST = 3  # columns of charges
SETTLEMENTS_MOST = 8  # rows of them, the largest
_ASCII = str.maketrans({"₹": "Rs ", "€": "EUR ", "£": "GBP ", "¥": "JPY ", "–": "-", "·": "|", "→": "->"})
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # bit of (column, row from the top)


def terminal_report(data, console):
    """Print the summary of a run."""
    plain = console.options.ascii_only
    run_figures = figures(data)

    def text(value, style=""):
        shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in value)  # no escape sequence gets through
        return Text(shown.translate(_ASCII) if plain else shown, style)

    console.print(_head(data, text))
    for fault in data["faults"]:
        console.print(text(f"FAULT at seq {fault['seq']} in {fault['strategy']}: {fault['text']}", "bold red"))
    if data["anomalies"]:
        console.print(text(f"ANOMALIES: {_counted(data['anomaly_reasons'], data)}", "bold red"))
    for trip in data["trips"]:
        console.print(text(f"TRIP at seq {trip['seq']}: {fmt.trip_line(trip, data['timezone'])}", "bold red"))
    console.print(_figures_panel(data, run_figures, text))
    if data["denied"]:
        console.print(_denials(data, text))
    if data["regimes"]:
        console.print(text(summary_line(data)))
    if len(data["equity"]["equity"]) > 1:
        console.print(_curve(data, plain, text))
    if data["trades"]:
        console.print(_trades(data, text))
    if data["charges"]:
        console.print(_charges(data, text))
    if data["settlements"]:
        console.print(_settlements(data, text))
    console.print(_digests(data, text))


def _head(data, text):
    head = text(f"{data['title']}  ", "bold")
    head.append_text(text(data["mode"], "bold reverse"))
    zone = data["timezone"]
    period = f"\n{fmt.stamp_text(data['first_ts'], zone)} → {fmt.stamp_text(data['last_ts'], zone)} {zone}"
    head.append_text(text(period if data["events"] else "\nno bars", "dim"))
    head.append_text(text(f"\nrun {data['run_id']}", "dim"))
    return head


def _denials(data, text):
    """Why orders were refused before they were sent, the commonest first."""
    return text(f"Denied before sending: {_counted(data['denied_reasons'], data)}", "yellow")


def _counted(reasons, data):
    return "; ".join(f"{fmt.count_text(row['count'], data['currency'])} {row['reason']}" for row in reasons)


def _tone(number):
    return "green" if (number or 0) > 0 else "red" if (number or 0) < 0 else ""


def _figures_panel(data, run_figures, text):
    currency, trades = data["currency"], run_figures.trades

    def money(units, signed=False):
        return fmt.money_text(units, currency, 2, signed)

    left = [
        ("Net PnL", money(run_figures.net, True), _tone(run_figures.net)),
        ("Return", fmt.percent_text(run_figures.return_fraction, 2, True), _tone(run_figures.net)),
        ("Final equity", money(data["final_equity"]), "bold"),
        ("Opening cash", money(data["cash"]), ""),
        ("Max drawdown", fmt.percent_text(-data["max_drawdown_fraction"]), _tone(-data["max_drawdown"])),
        ("Deepest fall", money(-data["max_drawdown"]), _tone(-data["max_drawdown"])),
        ("Fees paid", money(data["fees"]), ""),
        *([("Dividends", money(data["dividends"]), "")] if data["dividends"] else []),
        ("Open result", money(data["unrealized"], True), _tone(data["unrealized"])),
    ]
    right = [
        ("Trades", f"{fmt.count_text(trades.closed, currency)}" + (f" +{trades.open} open" if trades.open else ""), ""),
        ("Win rate", fmt.percent_text(trades.win_rate, 1), ""),
        ("Profit factor", fmt.ratio_text(trades.profit_factor), ""),
        ("Expectancy", money(trades.expectancy, True), _tone(trades.expectancy)),
        ("Sharpe (252 d)", fmt.ratio_text(run_figures.sharpe), ""),
        ("In the market", fmt.percent_text(run_figures.exposure_share, 1), ""),
        ("Orders", f"{data['orders']} sent {data['fills']} filled", ""),
        ("Denied", fmt.count_text(data["denied"], currency), "yellow" if data["denied"] else ""),
    ]
    grid = Table.grid(padding=(0, 1), expand=True)
    for right_aligned in (False, True, False, False, True):
        grid.add_column(justify="right" if right_aligned else "left", no_wrap=True)
    for i in range(max(len(left), len(right))):
        cells = []
        for side in (left, right):
            name, value, style = side[i] if i < len(side) else ("", "", "")
            cells += [text(name, "dim"), text(value, style)]
        grid.add_row(cells[0], cells[1], text("  "), cells[2], cells[3])
    return Panel(grid, box=ROUNDED, border_style="dim", width=78, subtitle=text(_inputs(data), "dim"))


def _inputs(data):
    speed = data["inputs_per_second"]
    return fmt.inputs_text(data) + (f" at {fmt.count_text(round(speed), data['currency'])}/s" if speed else "")


def _curve(data, plain, text):
    values = np.asarray(data["equity"]["equity"], dtype=np.int64)
    low, high = int(values.min()), int(values.max())
    lines = ascii_curve(values) if plain else braille_curve(values)
    labels = {0: high, len(lines) - 1: low}
    grid = Table.grid(padding=(0, 1))
    for row, line in enumerate(lines):
        label = fmt.money_text(labels[row], data["currency"], 0) if row in labels else ""
        grid.add_row(text(line, "cyan"), text(label, "dim"))
    return grid


def _levels(values, width, height):
    """(lowest, highest) level 0..height-1 from the bottom, of each of `width` columns."""
    edges = np.linspace(0, len(values), width + 1).astype(np.int64)
    low, span = int(values.min()), max(int(values.max()) - int(values.min()), 1)
    for start, end in pairwise(edges):
        part = values[min(start, len(values) - 1) : max(end, start + 1)]
        yield (int(part.min()) - low) * (height - 1) // span, (int(part.max()) - low) * (height - 1) // span


def braille_curve(values):
    """ROWS lines of COLUMNS braille characters: every column's range from its lowest to its highest value."""
    height = ROWS * 4
    cells = np.zeros((ROWS, COLUMNS), dtype=np.int64)
    levels = list(_levels(values, COLUMNS * 2, height))
    for column, (low, high) in enumerate(levels):
        low_before, high_before = levels[max(column - 1, 0)]  # joined to it, so that a steep move reads as one line
        for level in range(min(low, high_before), max(high, low_before) + 1):
            down = height - 1 - level
            cells[down // 4, column // 2] |= _DOTS[column % 2][down % 4]
    return ["".join(chr(0x2800 + int(cell)) for cell in row) for row in cells]


def ascii_curve(values):
    """The same as asterisks."""
    grid = [[" "] * COLUMNS for _ in range(ROWS)]
    for column, (low, high) in enumerate(_levels(values, COLUMNS, ROWS)):
        for level in range(low, high + 1):
            grid[ROWS - 1 - level][column] = "*"
    return ["".join(row) for row in grid]


def _trades(data, text):
    ranked = sorted((t for t in data["trades"] if t["closed_ts"] is not None), key=lambda t: -t["pnl"])
    best = [t for t in ranked[:TRADES_SHOWN] if t["pnl"] > 0]
    worst = [t for t in ranked[-TRADES_SHOWN:] if t["pnl"] < 0]
    table = Table(box=None, padding=(0, 1), width=78, header_style="dim")
    table.add_column("Best and worst trades", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("Side", no_wrap=True)
    table.add_column("Qty", justify="right", no_wrap=True)
    table.add_column("Opened", no_wrap=True)
    table.add_column("Net PnL", justify="right", no_wrap=True)
    for part in (best, worst):
        for trade in part:
            table.add_row(
                text(trade["symbol"]),
                text(trade["side"]),
                text(fmt.count_text(trade["qty"], data["currency"])),
                text(fmt.stamp_text(trade["opened_ts"], data["timezone"]), "dim"),
                text(fmt.money_text(trade["pnl"], data["currency"], 2, True), _tone(trade["pnl"])),
            )
        if part is best and best and worst:
            table.add_section()
    return table if best or worst else text(f"{len(data['trades'])} trades, none closed with a result", "dim")


def _charges(data, text):
    """What was charged, by item and segment."""
    segments, items, columns, total = fmt.charge_table(data["charges"], SEGMENTS_MOST)
    rows = [*items, ("All", columns, total)]
    table = Table(box=None, padding=(0, 1), width=78, header_style="dim")
    table.add_column("Charges", no_wrap=True)
    for segment in segments:
        table.add_column(text(segment), justify="right", no_wrap=True, overflow="ellipsis")
    if len(segments) > 1:
        table.add_column("All", justify="right", no_wrap=True)
    for item, cells, sum_of in rows:
        shown = [*cells, sum_of] if len(segments) > 1 else cells
        money = [text(fmt.money_text(units, data["currency"]) if units else "") for units in shown]
        table.add_row(text(item), *money, end_section=item != "All" and (item, cells, sum_of) == rows[-2])
    return table


def _settlements(data, text):
    """What the end of days and contracts did to positions."""
    rows = data["settlements"]
    table = Table(box=None, padding=(0, 1), width=78, header_style="dim")
    table.add_column("Settlements", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("", no_wrap=True)
    table.add_column("Times", justify="right", no_wrap=True)
    table.add_column("Last", no_wrap=True)
    table.add_column("Realised", justify="right", no_wrap=True)
    for row in rows[:SETTLEMENTS_MOST]:
        table.add_row(
            text(row["symbol"]),
            text(row["what"]),
            text(fmt.count_text(row["count"], data["currency"])),
            text(fmt.stamp_text(row["last_ts"], data["timezone"]), "dim"),
            text(fmt.money_text(row["realized"], data["currency"], 2, True), _tone(row["realized"])),
        )
    if len(rows) > SETTLEMENTS_MOST:
        table.add_row(text(f"and {len(rows) - SETTLEMENTS_MOST} smaller ones", "dim"))
    return table


def _digests(data, text):
    grid = Table.grid(padding=(0, 2))
    for name in ("tape", "decision", "state", "code"):
        grid.add_row(text(name, "dim"), text(data["digests"][name]))
    grid.add_row(text("prove", "dim"), text(f"onetape replay {data['run_id']}", "bold"))
    return grid
