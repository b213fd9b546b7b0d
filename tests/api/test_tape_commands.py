"""`onetape tape ...`: what people read, what machines read, and what happens to a tape that is damaged or old."""

import json
import shutil
import signal
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.tape.reader import durable_seq, read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_path
from adapters.tape.watermark import NAME
from adapters.tape.writer import TapeWriter
from kernel.codes import Kind
from kernel.schema import EVENT
from tests.api.running import ACCOUNT, FILLED, SIGNAL, account_of, damage, files_of, start_cli, stored


def test_ls(traded, call, good):
    lines = {line["tape"]: line for line in good(traded, "tape", "ls")}
    account = lines[ACCOUNT]
    assert {line["kind"] for line in lines.values()} == {"market", "account", "run"}
    seq = durable_seq(account_of(traded))
    assert (account["events"], account["durable_seq"], account["rows"]) == (seq, seq, seq)
    assert (account["sealed"], account["frames"], account["epoch"], account["being_written"]) == (0, 1, 1, False)
    assert account["first_ts"].startswith("2024-01-01T03:45") and account["last_ts"] > account["first_ts"]
    run = next(line for line in lines.values() if line["kind"] == "run")
    assert run["events"] > run["rows"] > 100
    said = call(traded, "tape", "ls")
    assert said.code == 0 and all(name in said.out for name in lines)
    assert call(traded / "new", "tape", "ls").out.startswith("no tape in")


def test_ls_names_what_is_damaged_and_goes_on(traded, call, good):
    (account_of(traded) / NAME).unlink()
    lines = {line["tape"]: line for line in good(traded, "tape", "ls")}
    assert "watermark is missing" in lines[ACCOUNT]["problem"] and "problem" not in lines["nse"]
    assert "watermark is missing" in call(traded, "tape", "ls").out


def test_show_is_readable(traded, call):
    said = call(traded, "tape", "show", ACCOUNT, "--kind", "order_filled")
    head, *lines = said.out.splitlines()
    assert "Asia/Kolkata" in head and "INR" in head and "\033" not in said.out
    rows, _ = stored(account_of(traded))
    fills = rows[rows["kind"] == FILLED]
    assert len(lines) == len(fills)
    first, row = lines[0], fills[0]
    words = first.split()
    assert words[0] == str(row["seq"]) and words[1] == "2024-01-01" and words[3] == "ORDER_FILLED"
    assert (
        f"@ {row['px'] / 1e4:,.2f}" in first and f"<- {row['cause']}" in first and f"order {row['order_id']}" in first
    )
    assert ("buy 20" in first or "buy 10" in first) and ("ema_cross" in first or "sma_rsi_stop" in first)


def test_show_ranges_limits_and_notes(traded, call):
    said = call(traded, "tape", "show", ACCOUNT, "--from-seq", "10", "--to-seq", "14")
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["10", "11", "12", "13", "14"]
    assert len(call(traded, "tape", "show", ACCOUNT, "--limit", "3").out.splitlines()) == 4
    started = call(traded, "tape", "show", ACCOUNT, "--kind", "RUN_STARTED").out.splitlines()[1]
    assert "RUN_STARTED" in started and "more, see --json" in started
    market = call(traded, "tape", "show", "nse", "--from-seq", "3", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in market[1:]] == ["3", "4"] and " BAR " in market[1]
    run = call(traded, "tape", "show", "latest", "--kind", "EQUITY", "--limit", "1").out
    assert "equity 1,000,000.00" in run


def test_show_for_machines(traded, call):
    said = call(traded, "tape", "show", ACCOUNT, "--kind", "SIGNAL,RUN_STARTED", "--json")
    events = [json.loads(line) for line in said.out.splitlines()]
    rows, notes = stored(account_of(traded))
    wanted = rows[np.isin(rows["kind"], (SIGNAL, int(Kind.RUN_STARTED)))]
    assert [event["seq"] for event in events] == wanted["seq"].tolist()
    assert events[0]["note"] == notes[1] and events[1]["symbol"] and events[1]["side"] in ("BUY", "SELL")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "main-papr"], ["no account or run or market tape 'main-papr'", "did you mean main-paper?"]),
        (["show", ACCOUNT, "--kind", "FILL"], ["no kind or family FILL"]),
        (["show", ACCOUNT, "--limit", "0"], ["--limit 0"]),
        (["show", "nse", "--follow", "--kind", "SPLIT"], ["does not grow"]),
        (["seal", "nse"], ["no account tape 'nse'"]),
        (["repair", "nse"], ["is a market tape", "import the source again"]),
        (["export", ACCOUNT, "--to", "x.xlsx"], ["xlsx is no format"]),
        (["export", ACCOUNT, "--to", "x.csv", "--family", "orders"], ["did you mean order?"]),
        (["retire", ACCOUNT, "--before", "2024-02-30"], ["is not a date"]),
        (["retire", ACCOUNT, "--before", "2024-02-01"], ["no sealed ticks"]),
        (["repair", ACCOUNT, "--from", "nowhere"], ["holds no copy of main-paper"]),
    ],
)
@pytest.mark.sim
def test_requests_that_cannot_be(traded, call, arguments, words):
    said = call(traded, "tape", *arguments)
    assert said.code == 2 and said.err.startswith("onetape: ") and said.err.count("\n") == 1, said
    for word in words:
        assert word in said.err


def test_show_of_a_damaged_tape_shows_what_it_can(traded, call):
    path = segment_path(account_of(traded), 1)
    damage(path, path.stat().st_size // 2)
    said = call(traded, "tape", "show", ACCOUNT)
    assert said.code == 65 and "is damaged" in said.err and "onetape tape repair" in said.err
    seqs = [int(line.split()[0]) for line in said.out.splitlines()[1:]]
    assert len(seqs) > 100 and seqs == list(range(1, len(seqs) + 1))
    assert call(traded, "tape", "show", ACCOUNT, "--to-seq", "50").code == 0


def test_show_without_a_watermark_and_with_damaged_parquet(traded, call):
    folder = account_of(traded)
    mark = (folder / NAME).read_bytes()
    (folder / NAME).unlink()
    said = call(traded, "tape", "show", ACCOUNT, "--from-seq", "100")
    assert said.code == 65 and "watermark is missing" in said.err
    assert said.out.splitlines()[1].split()[0] == "100" and len(said.out.splitlines()) > 100
    (folder / NAME).write_bytes(mark)
    seal_closed(folder, whole=True)
    damage(folder / "sealed" / "00000001" / "order.parquet", 2000)
    said = call(traded, "tape", "show", ACCOUNT)
    assert said.code == 65 and "order.parquet is not what was sealed" in said.err and len(said.out.splitlines()) == 1


@pytest.mark.sim
def test_follow_sees_what_is_written(traded):
    folder = account_of(traded)
    rows, _ = stored(folder)
    last = int(rows["seq"][-1])
    said = start_cli(traded, "tape", "show", ACCOUNT, "--from-seq", str(last), "--follow")
    try:
        assert said.stdout is not None
        said.stdout.readline()
        assert int(said.stdout.readline().split()[0]) == last
        more = np.zeros(2, EVENT)
        more["seq"], more["kind"], more["ts_init"], more["instrument"] = (
            [last + 1, last + 2],
            int(Kind.TIMER),
            rows["ts_init"][-1],
            -1,
        )
        with TapeWriter(folder) as tape:
            start = time.monotonic()
            tape.append(more)
            assert [int(said.stdout.readline().split()[0]) for _ in more] == [last + 1, last + 2]
            assert time.monotonic() - start < 2
        said.send_signal(signal.SIGINT)
        assert said.wait(10) == 0
    finally:
        said.kill()


def test_verify_is_the_same_command(traded, call, good):
    assert good(traded, "tape", "verify", ACCOUNT) == good(traded, "verify", ACCOUNT)
    assert "ok  market tape nse" in call(traded, "tape", "verify", "nse").out
    assert good(traded, "tape", "verify")["verified"] == 3


def test_seal(traded, call, good):
    before = good(traded, "verify", ACCOUNT)
    assert "nothing to seal" in call(traded, "tape", "seal", ACCOUNT).out
    found = good(traded, "tape", "seal", ACCOUNT, "--whole")
    assert [part["segment"] for part in found["sealed"]] == [1] and found["bytes_after"] < found["bytes_before"]
    assert good(traded, "verify", ACCOUNT) == before
    assert good(traded, "replay", ACCOUNT)["identical"]
    with TapeWriter(account_of(traded)):
        assert call(traded, "tape", "seal", ACCOUNT, "--whole").code == 75


@pytest.mark.sim
def test_repair_says_first_and_does_then(traded, call, good):
    folder, copy = account_of(traded), traded.parent / "copy"
    assert "nothing is wrong" in call(traded, "tape", "repair", ACCOUNT).out
    shutil.copytree(traded, copy)
    path = segment_path(folder, 1)
    damage(path, path.stat().st_size // 2)
    before = files_of(folder)
    said = call(traded, "tape", "repair", ACCOUNT)
    assert said.code == 2 and "LOST: seq " in said.out and "a copy may hold them" in said.out and "--yes" in said.out
    said = call(traded, "tape", "repair", ACCOUNT, "--from", str(copy))
    assert said.code == 2 and "nothing is lost" in said.out and "LOST" not in said.out
    assert files_of(folder) == before
    said = call(traded, "tape", "repair", ACCOUNT, "--from", str(copy), "--yes")
    assert said.code == 0 and said.out.splitlines()[-1].startswith("ok  main-paper")
    assert path.read_bytes() == segment_path(account_of(copy), 1).read_bytes()
    assert (folder / "quarantine" / path.name).read_bytes() == before[str(path)]
    assert good(traded, "replay", ACCOUNT)["identical"]


def test_repair_without_a_copy(traded, call):
    folder = account_of(traded)
    path = segment_path(folder, 1)
    damage(path, path.stat().st_size // 2)
    said = call(traded, "tape", "repair", ACCOUNT, "--yes")
    assert said.code == 0 and "LOST: seq " in said.out
    assert call(traded, "verify", ACCOUNT).code == 0
    with TapeWriter(folder) as tape:
        assert tape.last_seq == durable_seq(folder) > 100
        assert call(traded, "tape", "repair", ACCOUNT).code == 75


def test_export(traded, call, good, tmp_path):
    rows, _ = stored(account_of(traded))
    [made] = good(traded, "tape", "export", ACCOUNT, "--to", "orders.parquet", "--family", "order")
    table = pq.read_table(tmp_path / "orders.parquet")
    assert made["rows"] == table.num_rows > 100 and set(table.column("symbol").to_pylist()) <= {
        "ACC",
        "INFY",
        "TCS",
        "NIFTY",
        "ZEEL",
    }
    said = call(traded, "tape", "export", ACCOUNT, "--to", "orders.parquet", "--family", "order")
    assert said.code == 2 and "is there already" in said.err
    assert (
        call(traded, "tape", "export", ACCOUNT, "--to", "orders.parquet", "--kind", "ORDER_ACCEPTED", "--force").code
        == 0
    )
    everything = good(traded, "tape", "export", ACCOUNT, "--to", "day.csv")
    assert sum(file["rows"] for file in everything) == len(rows)
    assert sorted(p.name for p in (tmp_path / "day").iterdir()) == [
        "bar.csv", "control.csv", "equity.csv", "fill.csv", "order.csv", "ticket.csv"
    ]  # fmt: skip
    [bars] = duckdb.sql(f"select count(*), max(high) from '{tmp_path}/day/bar.csv'").fetchall()
    kept = rows[rows["kind"] == int(Kind.BAR)]
    assert bars[0] == len(kept) and round(bars[1] * 10_000) == kept["high"].max()
    [market] = good(traded, "tape", "export", "nse", "--to", "nse.arrow")
    assert market["rows"] == len(kept)
    part = good(
        traded, "tape", "export", ACCOUNT, "--to", "part.parquet", "--kind", "BAR", "--from-seq", "5", "--to-seq", "60"
    )
    seqs = pq.read_table(tmp_path / "part.parquet").column("seq").to_pylist()
    assert part[0]["rows"] == len(seqs) and min(seqs) >= 5 and max(seqs) <= 60


# Retention --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ticking(traded: Path) -> Path:
    """A home whose account tape has 140,000 ticks after its day. No product path makes ticks yet."""
    folder = account_of(traded)
    rows, _ = stored(folder)
    count, last = 140_000, int(rows["seq"][-1])
    ticks = np.zeros(count, EVENT)
    ticks["seq"] = last + 1 + np.arange(count)
    ticks["ts_init"] = ticks["ts_event"] = int(rows["ts_init"][-1]) + np.arange(count) * 10**9
    ticks["kind"] = np.where(np.arange(count) % 3, int(Kind.QUOTE), int(Kind.TRADE))
    ticks["kind"][::100] = int(Kind.TIMER)
    with TapeWriter(folder, 2**21) as tape:
        for start in range(0, count, 1000):
            tape.append(ticks[start : start + 1000], durable=False)
    seal_closed(folder)
    return traded


@pytest.mark.sim
def test_retire(ticking, call, good):
    folder = account_of(ticking)
    verified, before = good(ticking, "verify", ACCOUNT), files_of(folder)
    said = call(ticking, "tape", "retire", ACCOUNT, "--before", "2024-06-01")
    assert said.code == 2 and "nothing was changed: --yes" in said.out and files_of(folder) == before
    assert "sealed/00000002/quote.parquet" in said.out and f"loses its replay: {ACCOUNT}" in said.out
    done = call(ticking, "tape", "retire", ACCOUNT, "--before", "2024-06-01", "--yes")
    assert done.code == 0 and "retired" in done.out, done
    after = good(ticking, "verify", ACCOUNT)
    assert after["retired"] > 10_000 and after | {"retired": 0} == verified
    assert "ticks of them retired" in call(ticking, "verify").out
    assert (
        next(line for line in good(ticking, "tape", "ls") if line["tape"] == ACCOUNT)["retired_rows"]
        == after["retired"]
    )
    kinds = np.concatenate([rows["kind"] for rows, _ in read_rows(folder, 1)])
    assert (kinds == int(Kind.TIMER)).sum() == 1400
    replay = call(ticking, "replay", ACCOUNT)
    assert replay.code == 2 and "NOT REPLAYABLE: input retired" in replay.err and "identical" not in replay.out


@pytest.mark.sim
def test_files_that_a_run_cites_are_pinned(ticking, call, monkeypatch):
    """A run that reads from the account tape, as a fork will."""
    import api.retention

    folder, before = account_of(ticking), files_of(account_of(ticking))
    real = api.retention.read_manifest

    def citing(path):
        about = real(path)
        about["config"]["selection"]["tapes"].append({"name": ACCOUNT, "content_digest": ""})
        return about

    monkeypatch.setattr(api.retention, "read_manifest", citing)
    said = call(ticking, "tape", "retire", ACCOUNT, "--before", "2024-06-01", "--yes")
    assert said.code == 2 and f"cites {ACCOUNT}" in said.err and files_of(folder) == before


def test_help_of_every_sub_command(call):
    assert call(None, "tape").code == 2
    for name in ("ls", "show", "verify", "seal", "repair", "export", "retire"):
        said = call(None, "tape", name, "--help")
        assert said.code == 0 and said.out.startswith(f"usage: onetape tape {name}")
