"""A run's report as plain data, by SQL over the read models: the dict that `api/report.py` shows."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import duckdb

from kernel.codes import REASON_TEXT, KillLevel, Reason
from kernel.errors import NotFound
from kernel.units import SHARE
from projections.assumptions import assumptions
from projections.bounds import amount, span_text
from projections.exact import worth
from projections.names import RunConfig, read_config
from projections.regimes import regime_report

TRADES = """
SELECT strategy, symbol, side, max_qty AS qty, opened_ts, closed_ts, entry_px, exit_px, px_scale, pnl, fees,
       currency, regime
FROM trades JOIN run_instruments USING (tape, symbol)
JOIN (SELECT tape, strategy, symbol, opened_seq, regime FROM v_trade_regimes) USING (tape, strategy, symbol, opened_seq)
WHERE tape = ? ORDER BY opened_seq, strategy, symbol
"""
HELD = """
SELECT strategy, symbol, qty, cost, realized, fees, dividends, mark, num, den, currency,
       (SELECT count(*) FROM trades t
        WHERE t.tape = p.tape AND t.strategy = p.strategy AND t.symbol = p.symbol) AS trades
FROM positions p JOIN run_instruments i USING (tape, symbol) WHERE tape = ? ORDER BY strategy, symbol
"""
ITEMS = {
    "brokerage": "Brokerage",
    "stt": "STT",
    "transaction": "Transaction",
    "ipft": "IPFT",
    "sebi": "SEBI",
    "stamp": "Stamp duty",
    "gst": "GST",
    "dp": "DP",
    "venue": "Venue fee",
}
CHARGES = f"""
SELECT coalesce(i.segment, '') AS segment, i.currency, {", ".join(f"sum(c.{name})::BIGINT AS {name}" for name in ITEMS)}
FROM (
    SELECT tape, symbol, {", ".join(name for name in ITEMS if name != "venue")}, 0 AS venue FROM charges
    UNION ALL SELECT tape, symbol, {"0, " * (len(ITEMS) - 1)} fee - charges FROM fills
) c JOIN run_instruments i USING (tape, symbol)
WHERE c.tape = ? GROUP BY i.segment, i.currency ORDER BY i.segment NULLS LAST
"""
INPUTS = "SELECT bars, quotes, trades AS market_trades FROM v_inputs WHERE tape = ?"
TRIPS = "SELECT seq, ts, kind, strategy, level, text, who, why FROM trips WHERE tape = ? ORDER BY seq"
SETTLEMENTS = """
SELECT symbol, reason, count(*) AS count, max(ts) AS last_ts, sum(realized)::BIGINT AS realized,
       sum(charges)::BIGINT AS charges, currency
FROM settlements JOIN run_instruments USING (tape, symbol) WHERE tape = ? GROUP BY symbol, reason, currency
"""
RATES = "SELECT currency, rate FROM balances WHERE tape = ?"
SETTLED_AS = {
    "VARIATION": "Daily variation",
    "EXERCISED": "Exercised",
    "INSTRUMENT_EXPIRED": "Expired",
    "DELIVERED": "Delivered",
}
ORDERS = """
SELECT count(*) FILTER (status != 'DENIED') AS orders, count(*) FILTER (status = 'DENIED') AS denied
FROM orders WHERE tape = ?
"""
REASONS = "SELECT reason, count(*) AS count FROM {rows} GROUP BY reason ORDER BY count DESC, reason"
DENIED = REASONS.format(rows="orders WHERE tape = ? AND status = 'DENIED'")
ANOMALIES = REASONS.format(rows="anomalies WHERE tape = ?")
WORST = """
WITH low AS MATERIALIZED (
    SELECT tape, seq, ts, peak, {worst} AS worst FROM equity WHERE tape = ? AND {worst} > 0 ORDER BY {worst} DESC, seq
    LIMIT 1
), before AS MATERIALIZED (
    SELECT max(b.seq) AS seq FROM equity b, low WHERE b.tape = low.tape AND b.seq < low.seq AND b.peak <> low.peak
)
SELECT worst, ts AS low_ts,
       (SELECT min(e.ts) FROM equity e, low, before
        WHERE e.tape = low.tape AND e.seq <= low.seq AND e.seq > coalesce(before.seq, -1)) AS peak_ts
FROM low
"""  # the kernel's own figure, of every slice; its times are those of the first points that know the fall and its peak


def rows_as_dicts(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """The rows of a query by column name."""
    found = connection.execute(sql, parameters)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def in_own(
    connection: duckdb.DuckDBPyConnection, tape: str, rows: list[dict[str, Any]], *names: str
) -> list[dict[str, Any]]:
    """Rows that say a `currency`, with the money in `names` in the account's own by the last rate that was told, as the
    last EQUITY event has it: amounts of several currencies then have a sum."""
    rates: dict[str, int] = dict(connection.execute(RATES, [tape]).fetchall())
    for row in rows:
        rate = rates[row.pop("currency")]
        row |= {name: worth(row[name], rate, 1, SHARE) for name in names if row[name] is not None}
    return rows


def run_report(connection: duckdb.DuckDBPyConnection, tape: str) -> dict[str, Any]:
    """Everything the tape says, money and prices in units, times in ns UTC. Raises NotFound.

    Money is in the account's currency, prices in their instrument's.
    The open result of an instrument is None where its last price is not known: see `projections/marks.py`. The caller
    adds run_id, seconds, inputs_per_second, digests and inputs.
    """
    runs = rows_as_dicts(connection, "SELECT * FROM runs WHERE tape = ? ORDER BY seq DESC LIMIT 1", [tape])
    if not runs:
        raise NotFound(f"no run {tape} in the read models")
    run, config = runs[0], read_config(runs[0]["config"])
    account = rows_as_dicts(connection, "SELECT * FROM accounts WHERE tape = ?", [tape])[0]
    point = _last_point(connection, tape, account)
    held = _held(connection, tape, point["unrealized"])
    trades = in_own(connection, tape, rows_as_dicts(connection, TRADES, [tape]), "pnl", "fees")
    inputs = rows_as_dicts(connection, INPUTS, [tape])[0]
    checkpoint = rows_as_dicts(connection, "SELECT * FROM checkpoint WHERE tape = ?", [tape])[0]
    return {
        "title": _title(config),
        **{name: run[name] for name in ("mode", "currency", "timezone")},
        "first_ts": checkpoint["first_ts"],
        "last_ts": checkpoint["last_ts"],
        **inputs,
        "events": checkpoint["last_seq"],
        "cash": account["paid_in"] + int(config.config.get("fx", {}).get("opening_worth", 0)),
        "final_equity": point["equity"],
        **{name: point[name] for name in ("realized", "unrealized", "fees", "dividends", "market_value")},
        **_drawdown(connection, tape),
        **_counts(connection, tape),
        "faults": rows_as_dicts(
            connection, "SELECT seq, strategy, text FROM faults WHERE tape = ? ORDER BY seq", [tape]
        ),
        "trips": rows_as_dicts(connection, TRIPS, [tape]),
        "charges": _charges(connection, tape),
        "settlements": _settlements(connection, tape),
        "equity": _equity(connection, tape),
        "regimes": regime_report(connection, tape, trades),
        "trades": trades,
        "by_instrument": _sums(held, "symbol"),
        "by_strategy": _sums(held, "strategy"),
        "strategies": [
            {"name": name, "source": row["origin"], "hash": row["code_hash"], "params": row["params"]}
            for row, name in ((row, config.strategies[row["number"]]) for row in config.config["strategies"])
        ],
        "settings": _settings(config),
        "assumptions": assumptions(config.config["rules"], *_met(inputs, config.config["rules"])),
    }


def _title(config: RunConfig) -> str:
    symbols = {row["symbol"] for row in config.config["instruments"]}
    what = next(iter(symbols)) if len(symbols) == 1 else f"{len(symbols)} instruments"
    return f"{', '.join(config.strategies[1:]) or 'No strategy'} on {what}"


def _last_point(connection: duckdb.DuckDBPyConnection, tape: str, account: dict[str, Any]) -> dict[str, Any]:
    """The last recorded equity; before the first, what the account is without any marks."""
    points = rows_as_dicts(connection, "SELECT * FROM equity WHERE tape = ? ORDER BY seq DESC LIMIT 1", [tape])
    without = {name: account[name] for name in ("realized", "fees", "dividends")}
    return points[0] if points else {**without, "equity": account["cash"], "unrealized": 0, "market_value": 0}


def _held(connection: duckdb.DuckDBPyConnection, tape: str, unrealized: int) -> list[dict[str, Any]]:
    """Positions with their open result: from a mark, or what the others leave of the total when one has none."""
    held = rows_as_dicts(connection, HELD, [tape])
    for row in held:
        mark = row["mark"]
        value = None if mark is None else worth(row["qty"], mark, row["num"], row["den"]) - row["cost"]
        row["unrealized"] = 0 if row["qty"] == 0 else value
    held = in_own(connection, tape, held, "realized", "unrealized", "fees", "dividends")
    unknown = [row for row in held if row["unrealized"] is None]
    if len(unknown) == 1:
        unknown[0]["unrealized"] = unrealized - sum(row["unrealized"] or 0 for row in held)
    return held


def _sums(held: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """Positions added up; `net` is realized + open result + dividends - fees, so that all of them make the net PnL."""
    names = ("trades", "realized", "unrealized", "fees", "dividends")
    sums: dict[str, dict[str, Any]] = {}
    for row in held:
        total = sums.setdefault(row[by], {by: row[by], **dict.fromkeys(names, 0)})
        for name in names:
            total[name] = None if total[name] is None or row[name] is None else total[name] + row[name]
    for total in sums.values():
        total["net"] = total["realized"] + (total["unrealized"] or 0) + total.pop("dividends") - total["fees"]
    return list(sums.values())


def _drawdown(connection: duckdb.DuckDBPyConnection, tape: str) -> dict[str, Any]:
    """The deepest fall in money and the largest as a share of its peak, which may be two, each with its (from, to)."""
    found: dict[str, Any] = {}
    for name, column, none in (("", "max_drawdown", 0), ("_fraction", "max_drawdown_share", 0.0)):
        worst = rows_as_dicts(connection, WORST.format(worst=column), [tape])
        row = worst[0] if worst else {"worst": none, "low_ts": None}
        found[f"max_drawdown{name}"] = row["worst"]
        found[f"max_drawdown{name}_ts"] = (row["peak_ts"], row["low_ts"]) if worst else None
    return found


def _counts(connection: duckdb.DuckDBPyConnection, tape: str) -> dict[str, Any]:
    counted = {
        table: rows_as_dicts(connection, f"SELECT count(*) AS n FROM {table} WHERE tape = ?", [tape])[0]["n"]
        for table in ("signals", "fills", "anomalies")
    }
    return {
        **counted,
        **rows_as_dicts(connection, ORDERS, [tape])[0],
        "denied_reasons": _reasons(connection, DENIED, tape),
        "anomaly_reasons": _reasons(connection, ANOMALIES, tape),
    }


def _reasons(connection: duckdb.DuckDBPyConnection, sql: str, tape: str) -> list[dict[str, Any]]:
    """Reasons in words with their counts, the commonest first."""
    rows = rows_as_dicts(connection, sql, [tape])
    return [{"reason": REASON_TEXT[Reason[row["reason"]]], "count": row["count"]} for row in rows]


def _met(inputs: Mapping[str, int], rules: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether orders met bars, and ticks: bars that a run made of trades meet none."""
    ticks = inputs["quotes"] + inputs["market_trades"] > 0
    return inputs["bars"] > 0 and not (ticks and rules.get("bar_kind")), ticks


def _charges(connection: duckdb.DuckDBPyConnection, tape: str) -> list[dict[str, Any]]:
    """What each item came to in each segment, so that all of them make the fees; empty where nothing is itemised."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in in_own(connection, tape, rows_as_dicts(connection, CHARGES, [tape]), *ITEMS):
        sums.update({(row["segment"], text): row[name] for name, text in ITEMS.items() if row[name]})
    rows = [{"segment": segment, "item": item, "amount": amount} for (segment, item), amount in sums.items()]
    return rows if any(row["item"] != ITEMS["venue"] for row in rows) else []


def _settlements(connection: duckdb.DuckDBPyConnection, tape: str) -> list[dict[str, Any]]:
    """What the end of days and contracts did, by instrument, the largest first."""
    rows = in_own(connection, tape, rows_as_dicts(connection, SETTLEMENTS, [tape]), "realized", "charges")
    rows.sort(key=lambda row: (-abs(row["realized"]), row["symbol"], row["reason"]))
    return [{**row, "what": SETTLED_AS.get(row["reason"], row["reason"])} for row in rows]


def _equity(connection: duckdb.DuckDBPyConnection, tape: str) -> dict[str, list[int]]:
    columns = connection.execute(
        "SELECT ts, equity, greatest(peak, equity) AS peak, exposure FROM equity WHERE tape = ? ORDER BY seq", [tape]
    ).fetchnumpy()
    return {name: values.tolist() for name, values in columns.items()}


def _settings(config: RunConfig) -> dict[str, str]:
    """What was set, as text; money in the currency. Limits that are off, but for those of one order, are left out."""
    run = config.config
    shown = {"fees": str(run.get("fees", "")), "seed": str(run.get("seed", 0))}
    shown |= {"charges": str(run["charges"]["rule"])} if run.get("charges", {}).get("rule") else {}
    shown |= _limits(run["limits"])
    for number, limits in run["limits"].get("strategies", {}).items():
        shown |= {f"{config.strategies[int(number)]}: {name}": text for name, text in _limits(limits).items()}
    return shown


MONEY_LIMITS = ("max_order_notional", "max_gross", "max_net", "max_underlying", "max_day_loss", "capital")
SPAN_LIMITS = ("stale_after", "duplicate_within", "repeat_within")
ALWAYS = ("allow_short", "market_buffer_bps")  # 0 says something


def _limits(limits: Mapping[str, Any]) -> dict[str, str]:
    return {name: _limit(name, value) for name, value in limits.items() if name != "strategies" and _says(name, value)}


def _says(name: str, value: int) -> bool:
    return bool(value) or name in ALWAYS or name.startswith("max_order_")


def _limit(name: str, value: int) -> str:
    if name in MONEY_LIMITS:
        return f"{value / 10_000:,.2f}"
    if name in ("collar", "max_drawdown"):
        return f"{amount(value * 100, 10**9)}%"
    if name in SPAN_LIMITS:
        return span_text(value)
    if name == "trip_level":
        return KillLevel(value).name
    return ("yes" if value else "no") if name in ("allow_short", "self_cross", "session_hours") else f"{value:,}"
