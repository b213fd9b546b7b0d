import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from api import report_format as fmt
from api.report import html_report, terminal_report
from api.report_chart import WIDTH, build_charts, downsample, place_times, time_ticks, value_ticks
from api.report_regimes import strips
from api.report_terminal import COLUMNS, braille_curve

START = 1_704_080_700 * 10**9  # 2024-01-01 09:15 in Kolkata
DAY = 86_400 * 10**9
EVIL = "<script>alert('x')</script>&\"\x1b[31m"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def run(days=0, trades=0, **changes):
    cash = 10_00_000_0000
    equity = [cash + (i * 37 % 101 - 20) * 100_0000 for i in range(days)]
    peak = [int(p) for p in np.maximum.accumulate(equity)] if days else []
    ts = [START + i * DAY for i in range(days)]
    row = {"trades": trades, "realized": 500_0000, "unrealized": 0, "fees": 10_0000, "net": 490_0000}
    return {
        "run_id": "r-1", "title": "EMA cross", "mode": "BACKTEST", "currency": "INR", "timezone": "Asia/Kolkata",
        "first_ts": ts[0] if ts else 0, "last_ts": ts[-1] if ts else 0, "bars": days, "quotes": 0, "market_trades": 0, "events": days,
        "seconds": None, "inputs_per_second": None, "cash": cash, "final_equity": equity[-1] if days else cash,
        "realized": 0, "unrealized": 0, "fees": 0, "dividends": 0, "market_value": 0, "max_drawdown": 0,
        "max_drawdown_fraction": 0.0, "max_drawdown_ts": None, "max_drawdown_fraction_ts": None, "signals": 0, "orders": 0, "fills": 0, "denied": 0,
        "denied_reasons": [], "faults": [], "anomalies": 0, "anomaly_reasons": [], "trips": [], "charges": [], "settlements": [], "regimes": None,
        "equity": {"ts": ts, "equity": equity, "peak": peak, "exposure": [i % 2 * cash // 2 for i in range(days)]},
        "trades": [
            {"strategy": "EmaCross", "symbol": f"SYM{i}", "side": "LONG", "qty": 5, "opened_ts": START + i,
             "closed_ts": None if i == trades - 1 else START + i + 60, "entry_px": 1000000, "px_scale": 10_000,
             "exit_px": None if i == trades - 1 else 1012345,
             "pnl": (i - 1) * 10_000, "fees": 1234, "regime": None} for i in range(trades)
        ],
        "by_instrument": [{"symbol": "SYM0", **row}] if trades else [],
        "by_strategy": [{"strategy": "EmaCross", **row}] if trades else [],
        "strategies": [{"name": "EmaCross", "source": "a.py:EmaCross", "hash": "ab12", "params": {"fast": 10}}],
        "settings": {"slippage": "1 tick"}, "assumptions": ["Fills are simulated at the next open."],
        "digests": {"tape": "aa", "decision": "bb", "state": "cc", "code": "dd"},
        "inputs": [{"tape": "nse", "digest": "ee"}],
    } | changes  # fmt: skip


def printed(data, **options):
    console = Console(file=io.StringIO(), width=80, **options)
    terminal_report(data, console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        (12_34_567_8900, "INR", "₹12,34,567.89"),
        (1_00_00_000_0000, "INR", "₹1,00,00,000.00"),
        (999_0000, "INR", "₹999.00"),
        (-1_000_0000, "INR", "-₹1,000.00"),
        (1_234_567_8900, "USD", "$1,234,567.89"),
        (50, "USD", "$0.01"),
        (-49, "USD", "$0.00"),
        (5_0000, "XYZ", "XYZ 5.00"),
        (None, "INR", "–"),
    ],
)
def test_money_text(units, currency, text):
    assert fmt.money_text(units, currency) == text


def test_other_texts():
    assert fmt.money_text(5_0000, "INR", 0, signed=True) == "+₹5"
    assert fmt.price_text(1012345, "INR") == "101.2345"
    assert fmt.price_text(1_00_000_0000, "INR") == "1,00,000.00"
    assert fmt.axis_text(10_50_000_0000, "INR", 50_000_0000) == "₹10.5 L"
    assert fmt.axis_text(10_02_500_0000, "INR", 500_0000) == "₹10,02,500"
    assert fmt.axis_text(1_200_000_0000, "USD", 200_000_0000) == "$1.2M"
    assert fmt.percent_text(-0.00001, signed=True) == "0.00%"
    assert fmt.percent_text(float("nan")) == "–"
    assert fmt.duration_text(3 * DAY + 3_600 * 10**9) == "3 days 1 h"


def test_downsampling_keeps_every_extreme():
    generator = np.random.default_rng(7)
    y = generator.integers(-1000, 1000, 200_000).cumsum()
    y[123_457], y[45_678] = y.max() + 10**9, y.min() - 10**9
    x = np.linspace(0, 1, len(y))
    keep = downsample(x, y)
    assert len(keep) <= 1600 and (np.diff(keep) > 0).all()
    assert {0, 123_457, 45_678, 199_999} <= set(keep.tolist())
    column = np.minimum((x * 798).astype(int), 797)
    for i in (0, 400, 797):
        part, kept = y[column == i], y[keep[column[keep] == i]]
        assert part.min() == kept.min() and part.max() == kept.max()


def test_pauses_are_shortened_and_order_kept():
    ts = np.array([0, 1, 2, 3, 1000, 1001]) * 60 * 10**9
    x, cut = place_times(ts)
    assert cut and (np.diff(x) > 0).all()
    assert x[4] - x[3] == pytest.approx(3 * (x[1] - x[0]))


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (-7, 12345), (10**15, 10**15 + 1)])
def test_value_ticks_hold_the_range(low, high):
    first, last, step = value_ticks(low, high)
    assert first <= low and high <= last and step > 0 and (last - first) // step <= 8


@pytest.mark.parametrize("step_ns", [10**9, 60 * 10**9, DAY, 40 * DAY, 900 * DAY])
def test_time_ticks_are_few_and_ascending(step_ns):
    ts = np.arange(START, START + 30 * step_ns, step_ns)
    ticks = time_ticks(ts, place_times(ts)[0], "Asia/Kolkata")
    assert 2 <= len(ticks) <= 12
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


def test_user_text_is_escaped():
    data = run(5, 3, title=EVIL, run_id=EVIL, faults=[{"seq": 1, "strategy": EVIL, "text": EVIL}])
    for row in data["trades"] + data["by_instrument"] + data["by_strategy"]:
        row.update({name: EVIL for name in ("symbol", "strategy") if name in row})
    data["strategies"][0].update(name=EVIL, source=EVIL, params={EVIL: 1})
    data["settings"], data["assumptions"] = {EVIL: EVIL}, [EVIL]
    data["denied_reasons"] = [{"reason": EVIL, "count": 1}]
    data["charges"] = [{"segment": EVIL, "item": EVIL, "amount": 1}]
    data["trips"] = [
        {"seq": 1, "ts": 1, "kind": "TRIPPED", "strategy": EVIL, "level": EVIL, "text": EVIL, "who": EVIL, "why": EVIL}
    ]
    data["inputs"][0]["tape"] = EVIL
    text = html_report(data)
    assert "<script>alert" not in text
    assert len([tag for tag, _ in Page(text).tags if tag == "script"]) == 2
    assert "\x1b" not in printed(data, no_color=True)


@pytest.mark.parametrize("days", [0, 1, 2, 80])
def test_nothing_from_outside_and_a_strict_policy(days):
    text = html_report(run(days, days // 2))
    page = Page(text)
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "base", "form"}
        assert not {"src", "href", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    body = re.sub(r"<script.*?</script>", "", text[text.index("<main>") :], flags=re.S)
    assert not re.search(r"\b(nan|inf|none|undefined)\b", body.replace('preserveAspectRatio="none"', ""), re.I)


def regimes(**changes):
    """Ten days up, then a range, a trend down, and a volatile end, of one instrument; another traded less."""
    points = {"TREND": 40, "RANGE": 20, "VOLATILE": 10, "UNKNOWN": 10}
    at = [START + day * DAY for day in (10, 30, 50, 70)]
    one = {
        "symbol": "SYM<0>", "points": points, "ts": at,
        "regime": ["TREND", "RANGE", "TREND", "VOLATILE"], "direction": [1, 1, -1, -1],
    }  # fmt: skip
    rows = [
        {"regime": name, "points": points[name], "trades": 3, "closed": 2, "won": 1, "net": net}
        for name, net in (("TREND", -50_0000), ("RANGE", 100_0000), ("VOLATILE", 0), ("UNKNOWN", 0))
    ]
    return {"instruments": [one], "left_out": 1, "rows": rows} | changes


def test_regimes_are_told_by_shape_and_in_words():
    data = run(81, 2, regimes=regimes())
    [strip] = strips(data)
    assert [shape for shape, _ in strip["paths"]] == ["rising", "falling", "range", "volatile"]
    paths = {shape: [int(x) for x in re.findall(r"[MH](\d+)", path)] for shape, path in strip["paths"]}
    assert paths == {
        "rising": [200, 600, 200], "range": [600, 1000, 600], "falling": [1000, 1400, 1000], "volatile": [1400, 1600, 1400]
    }  # fmt: skip
    assert [(x, arrow) for x, _, arrow, _ in strip["marks"]] == [(25.0, "▲"), (75.0, "▼")]
    page = html_report(data)
    words = "SYM&lt;0&gt;: Trend 50.0%, Range 25.0%, Volatile 12.5%, Unknown 12.5% of the time, 3 changes"
    assert f'role="img" aria-label="{words}"' in page and "the 1 most traded of 2 instruments" in page
    assert re.search(r">Trend</th><td class=\"n\">50.0%</td><td class=\"n\">3</td><td class=\"n\">50.0%</td>", page)
    said = next(line for line in printed(data).splitlines() if line.startswith("Regimes"))
    assert said == "Regimes: trend 50%, -₹50 in 3; range 25%, +₹100 in 3; volatile 12%, ₹0 in 3"


def test_a_strip_shows_what_took_most_of_each_column():
    """Ten thousand changes make a short path, and a time too short for a column does not hide the others."""
    count = 10_000
    ts = [START + DAY + i * DAY // 200 for i in range(count)]
    names = ["TREND" if i % 10 else "VOLATILE" for i in range(count)]
    one = {"symbol": "S", "points": {"TREND": 1}, "ts": ts, "regime": names, "direction": [1] * count}
    [strip] = strips(run(51, 0, regimes=regimes(instruments=[one])))
    assert [shape for shape, _ in strip["paths"]] == ["rising"]
    assert len(strip["paths"][0][1]) < 40


def test_without_regimes_there_is_none_of_it():
    page = html_report(run(30, 2))
    assert "By regime" not in page and 'class="pane strip"' not in page and "Regimes" not in printed(run(30, 2))
    assert strips(run(1, regimes=regimes())) == []  # one point is no time axis


def test_trips_are_marked_on_the_equity_line():
    data = run(80)
    ts = data["equity"]["ts"]
    data["trips"] = [
        {"seq": n, "ts": ts[place], "kind": "TRIPPED", "strategy": "account", "level": "FLATTEN", "text": "DAY_LOSS",
         "who": "asha", "why": "fat finger"} for n, place in enumerate((0, 40, 79))
    ]  # fmt: skip
    assert build_charts(data)["trips"] == pytest.approx([0, 100 * 40 / 79, 100], abs=0.01)
    text = html_report(data)
    assert text.count('<line class="trip"') == 3 and "Red: a guard or the kill switch" in text
    assert "kill switch at FLATTEN: DAY_LOSS by asha: fat finger" in text
    assert '<line class="trip"' not in html_report(run(80))


def test_settlements_and_anomalies_are_shown():
    rows = [
        {"symbol": f"FUT{n}", "reason": "VARIATION", "what": "Daily variation", "count": 3, "last_ts": START,
         "realized": (50 - n) * 10_000, "charges": 0} for n in range(45)
    ]  # fmt: skip
    data = run(3, settlements=rows, anomalies=3, anomaly_reasons=[{"reason": "it came too late", "count": 3}])
    text = html_report(data)
    assert "FUT39" in text and "FUT40" not in text and "5 smaller rows are left out" in text
    assert "it came too late" in text and ">Charges</th>" not in text
    rows[0]["charges"] = 5
    assert ">Charges</th>" in html_report(data)
    shown = printed(data)
    assert "Daily variation" in shown and "and 37 smaller ones" in shown and "ANOMALIES: 3 it came too late" in shown


def test_long_reasons_wrap():
    """In one line they were as wide as a page, and lay over what is beside them."""
    data = run(3, denied=1, denied_reasons=[{"reason": "why " * 60, "count": 1}])
    assert f'<td class="words">{"why " * 60}</td>' in html_report(
        data
    ) and "td.words{white-space:normal}" in html_report(data)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((0, 0, 0), "no bars"),
        ((1, 0, 0), "1 bar"),
        ((12_345, 0, 0), "12,345 bars"),
        ((0, 1, 2), "1 quote, 2 trades"),
        ((375, 1_20_000, 1), "375 bars, 1,20,000 quotes, 1 trade"),
    ],
)
def test_inputs_are_counted_apart(counts, text):
    data = run(3, bars=counts[0], quotes=counts[1], market_trades=counts[2], inputs_per_second=1000.4, seconds=1.0)
    page, shown = html_report(data), printed(data)
    assert f"<span>{text}</span>" in page and f"{text} at 1,000/s" in shown
    assert ("1,000 inputs a second" if any(counts[1:]) else "1,000 bars a second") in page


def test_empty_run_says_so():
    text = html_report(run())
    assert "No bars" in text and "No trade was made" in text and "recorded no equity" in text
    assert "no bars" in printed(run())


def test_hover_points_and_paths_are_bounded():
    data = run(20_000)
    text = html_report(data)
    points = json.loads(re.search(r'id="points">(.*?)</script>', text, re.S)[1])
    assert len(points) <= 1600
    assert {fmt.money_text(max(data["equity"]["equity"]), "INR")} <= {point[3] for point in points}
    for path in re.findall(r' d="(M[^"]+)"', text):
        assert path.count("L") <= WIDTH + 2


def test_many_trades_are_cut_in_the_middle_and_said():
    text = html_report(run(90, 1_234))
    assert "234 between are left out" in text and "onetape sql --run r-1" in text
    assert text.count('<td class="id"') == 1_000
    assert "SYM499<" in text and "SYM500<" not in text and "SYM734<" in text and "SYM733<" not in text


def test_monthly_table_only_beyond_two_months():
    assert "Monthly returns" not in html_report(run(50))
    assert "Monthly returns" in html_report(run(80))


def test_faults_and_proof_are_shown():
    text = html_report(run(3, faults=[{"seq": 7, "strategy": "EmaCross", "text": "boom"}], anomalies=2))
    assert 'role="alert"' in text and "1 strategy fault, 2 anomalies" in text
    assert "onetape replay r-1" in text


@pytest.mark.parametrize("options", [{"no_color": True}, {"force_terminal": True, "color_system": "truecolor"}])
def test_terminal_fits_eighty_columns(options):
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed(run(400, 30), **options))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "Net PnL" in text and "onetape replay r-1" in text and "…" not in text


def test_terminal_in_plain_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal_report(run(400, 30), Console(file=stream, width=80))
    stream.flush()
    assert b"Rs 10,00,000.00" in stream.buffer.getvalue()


def test_braille_curve_rises():
    lines = braille_curve(np.arange(1000))
    assert all(len(line) == COLUMNS for line in lines)
    assert lines[0][-1] != "\u2800" and lines[0][0] == "\u2800" and lines[-1][0] != "\u2800"
