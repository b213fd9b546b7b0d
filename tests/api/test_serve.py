import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time

import duckdb
import jwt
import pytest
from litestar.testing import TestClient

from adapters.bus.hints import HintPublisher
from adapters.settings import Settings
from adapters.tape.writer import TapeWriter
from api import following, serve
from api.auth import check_token, key_path, load_key, make_token
from api.read_models import HomeTapes, open_database
from kernel.codes import Kind
from kernel.errors import ConfigError, TokenRefused
from kernel.schema import join_rows
from tests.projections.handmade import BUY, SELL, HandTape

TAPE = "accounts/main"


def write(folder, tape, start=0):
    """Rows of a hand-made tape from `start` on, in frames of 20."""
    with TapeWriter(folder, segment_bytes=1 << 16) as writer:
        rows = tape.rows()[start:]
        for first in range(0, len(rows), 20):
            part = rows[first : first + 20]
            notes = {seq: text for seq, text in tape.notes.items() if part["seq"][0] <= seq <= part["seq"][-1]}
            writer.append(part, notes)


def hand_tape(seed=4):
    tape = HandTape(seed)
    tape.trade(1, 0, BUY, 3, 100_0000, 15)
    tape.trade(1, 0, SELL, 2, 110_0000, 5)
    return tape.wander(120)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write(home / "tapes" / "accounts" / "main", hand_tape())
    write(home / "runs" / "r-1", hand_tape(5))
    return home


@pytest.fixture(scope="module")
def client(home):
    with TestClient(serve.make_app(home, Settings()), raise_server_exceptions=False) as client:
        client.app.state.views.refresh()
        yield client


@pytest.fixture(scope="module")
def ask(client, home):
    token = make_token(home, 1, "test")

    def ask(path, **params):
        return client.get(path, params=params, headers={"Authorization": f"Bearer {token}"})

    return ask


def is_problem(answer, status):
    body = answer.json()
    assert answer.status_code == body["status"] == status, body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert {"type", "title", "detail"} <= body.keys()
    return body


def test_scans(ask, home, market):
    """The answer of `onetape scan`; what is wrong with a question is the asker's."""
    if not (home / "tapes" / "market").exists():
        shutil.copytree(market / "tapes" / "market", home / "tapes" / "market")
        shutil.copytree(market / "instruments", home / "instruments")
    body = ask(
        "/api/scan", condition="close > prev(close)", sort="close desc", limit=2, as_of="2024-01-02 11:00"
    ).json()
    assert body["day"] == "2024-01-02" and len(body["rows"]) <= 2 <= body["scanned"]
    assert all(
        row["close"] > row["prev(close)"]
        for row in ask("/api/scan", condition="close > prev(close)", show="close, prev(close)").json()["rows"]
    )
    for wrong in ({"condition": "__import__('os')"}, {"condition": "x" * 501}, {"limit": 1_001}, {"limit": 0}, {"bars": "1w"},
                  {"as_of": "soon"}, {"sql": "1"}):  # fmt: skip
        is_problem(ask("/api/scan", **wrong), 400)
    assert "^^^" in is_problem(ask("/api/scan", condition="rsx14 < 3"), 400)["detail"]
    is_problem(ask("/api/scan", symbols="NOPE"), 404)


def test_health_needs_no_token(client):
    body = client.get("/health").json()
    assert body["status"] == "ok" and body["tapes"] == 2 and body["unread_tapes"] == 0
    assert body["version"] and 0 <= body["lag_seconds"] < 10


def test_nothing_else_answers_without_a_token(client):
    paths = {route.path for route in client.app.routes}
    assert len(paths) >= 8 and "/api/schema/openapi.json" in paths
    for route in client.app.routes:
        path = route.path.replace("{run_id:path}", "r-1")
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"):
            answer = client.request(method, path)
            if route.path == "/health":
                continue
            assert answer.status_code in (401, 404, 405), (method, path)
            assert not answer.is_success
        if route.path != "/health":
            answer = client.get(path)
            if "GET" in route.methods:
                is_problem(answer, 401)
                assert answer.headers["www-authenticate"].startswith("Bearer")


def test_every_answer_has_the_security_headers(client, ask):
    for answer in (client.get("/health"), client.get("/api/runs"), client.get("/nowhere"), ask("/api/runs")):
        for name, value in serve.HEADERS.items():
            assert answer.headers[name] == value
        assert "access-control-allow-origin" not in answer.headers


def forged(home, **changes):
    now = int(time.time())
    claims = {"sub": "x", "iat": now, "exp": now + 60, "aud": "onetape", "iss": "onetape"} | changes
    return {name: value for name, value in claims.items() if value is not None}


def bad_tokens(home):
    key, now = load_key(home), int(time.time())

    def encode(claims, key=key, algorithm="HS256"):
        return jwt.encode(claims, key, algorithm=algorithm)

    part = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in
            ({"alg": "none", "typ": "JWT"}, forged(home))]  # fmt: skip
    yield "none", jwt.encode(forged(home), None, algorithm="none")
    yield "none by hand", f"{part[0]}.{part[1]}."
    yield "other algorithm", encode(forged(home), algorithm="HS512")
    yield "wrong key", encode(forged(home), key=b"k" * 32)
    yield "expired", encode(forged(home, iat=now - 100, exp=now - 50))
    yield "from the future", encode(forged(home, iat=now + 5000, exp=now + 9000))
    yield "other audience", encode(forged(home, aud="other"))
    yield "other issuer", encode(forged(home, iss="other"))
    for claim in ("exp", "iat", "aud", "iss", "sub"):
        yield f"no {claim}", encode(forged(home, **{claim: None}))
    good = encode(forged(home))
    yield "changed", good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    yield from (("empty", ""), ("garbage", "x.y.z"), ("not ascii", "ü"), ("long", "a" * 5000))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_only_our_own_tokens_open(client, home):
    key = load_key(home)
    assert check_token(key, make_token(home, 1, "me")) == "me"
    for what, token in bad_tokens(home):
        with pytest.raises(TokenRefused) as refused:
            check_token(key, token)
        assert not token or token not in str(refused.value), what
        answer = client.get("/api/runs", headers={"Authorization": f"Bearer {token}".encode()})
        assert is_problem(answer, 401), what
    good = make_token(home, 1, "me")
    for header in (good, f"Basic {good}", "Bearer", f"Bearer  {good} x"):
        is_problem(client.get("/api/runs", headers={"Authorization": header}), 401)
    assert client.get("/api/runs", headers={"Authorization": f"bearer {good}"}).status_code == 200
    assert client.get("/api/runs", params={"token": good}).status_code == 401


@pytest.mark.skipif(os.name != "posix", reason="mode bits")
def test_the_secret_is_private_or_refused(tmp_path):
    key = load_key(tmp_path)
    assert len(key) == 32 and load_key(tmp_path) == key
    path = key_path(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        load_key(tmp_path)
    with pytest.raises(ConfigError, match="can be read by others"):
        serve.make_app(tmp_path, Settings())
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="not a secret"):
        load_key(tmp_path)


def test_runs(ask):
    items = ask("/api/runs").json()["items"]
    assert {row["tape"] for row in items} == {TAPE, "r-1"}
    assert items[0]["mode"] == "PAPER" and items[0]["strategies"] == "one, two#2, two#3"
    assert items[0]["started_ts"].endswith("Z")


def test_one_run(ask):
    for tape in ("r-1", TAPE):
        body = ask(f"/api/runs/{tape}").json()
        assert body["run_id"] == tape and body["cash"] == "100000000.0000" and "trades" not in body
        assert body["equity"]["ts"][0].startswith("2024-01-01T")
    for tape in ("r-2", "../secrets", "accounts/../../secrets", "accounts"):
        is_problem(ask(f"/api/runs/{tape}"), 404)


def test_positions_orders_and_trades(ask, client):
    views = client.app.state.views
    rows = ask("/api/positions", tape=TAPE).json()["items"]
    with views.cursor() as cursor:
        count = cursor.execute("SELECT count(*) FROM positions WHERE tape = ?", [TAPE]).fetchone()[0]
    assert len(rows) == count > 0 and isinstance(rows[0]["qty"], int) and "." in rows[0]["cost"]
    for path, key in (("/api/orders", "order_id"), ("/api/trades", "opened_seq")):
        seen, start = [], 0
        while start is not None:
            body = ask(path, tape=TAPE, from_seq=start, limit=7).json()
            assert len(body["items"]) <= 7
            seen += [row[key] for row in body["items"]]
            start = body["next"]
        with views.cursor() as cursor:
            table = path.removeprefix("/api/")
            count = cursor.execute(f"SELECT count(*) FROM {table} WHERE tape = ?", [TAPE]).fetchone()[0]
        assert len(seen) == count > 7 and seen == sorted(set(seen))
    trade = ask("/api/trades", tape=TAPE, limit=1).json()["items"][0]
    assert trade["entry_px"] == "100.0000" and trade["strategy"] == "one"


def test_events_page_by_page(ask):
    tape, seen, start = hand_tape(), [], 0
    while start is not None:
        body = ask("/api/events", tape=TAPE, from_seq=start, limit=50).json()
        seen += body["items"]
        start = body["next"]
    assert [row["seq"] for row in seen] == tape.rows()["seq"].tolist()
    assert seen[0]["kind"] == "RUN_STARTED" and json.loads(seen[0]["note"])["currency"] == "INR"
    fill = next(row for row in seen if row["kind"] == "ORDER_FILLED")
    assert (fill["px"], fill["qty"], fill["fee"], fill["side"]) == ("100.0000", 3, "0.0015", "BUY")
    assert fill["ts_event"].startswith("2024-01-01T03:45:00.00000")
    bar = ask("/api/events", tape=TAPE, kind="BAR", limit=1000).json()["items"][0]
    assert bar["kind"] == "BAR" and {"open", "high", "low", "close", "volume"} <= bar.keys() and "px" not in bar


def test_a_long_look_for_a_rare_kind_goes_on_in_the_next_page(ask, monkeypatch):
    monkeypatch.setattr(serve, "SCAN_ROWS", 40)
    found, start, pages = [], 0, 0
    while start is not None:
        body = ask("/api/events", tape=TAPE, kind="DIVIDEND", from_seq=start).json()
        found, start, pages = found + body["items"], body["next"], pages + 1
    rows = hand_tape().rows()
    assert [row["seq"] for row in found] == rows["seq"][rows["kind"] == Kind.DIVIDEND].tolist() and pages > 2


@pytest.mark.parametrize("path", ["/api/positions", "/api/orders", "/api/trades", "/api/events"])
def test_bad_requests_are_problems(ask, client, path):
    is_problem(ask(path), 400)
    is_problem(ask(path, tape=""), 400)
    for tape in ("none", "../../etc", "accounts", "accounts/../accounts/main", "x' OR 1=1 --"):
        is_problem(ask(path, tape=tape), 404)
    if path != "/api/positions":
        for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"from_seq": -1}, {"from_seq": 2**63}):
            is_problem(ask(path, tape=TAPE, **wrong), 400)
    is_problem(client.post(path), 405)


def test_unknown_kind_and_path(ask):
    assert "ORDER_FILLED" in is_problem(ask("/api/events", tape=TAPE, kind="NONSENSE"), 400)["detail"]
    is_problem(ask("/api/nothing"), 404)


def test_a_failure_inside_says_nothing(ask, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(serve, "list_runs", fail)
    assert "secret" not in json.dumps(is_problem(ask("/api/runs"), 500))


def test_the_schema_names_the_bearer_scheme(ask):
    body = ask("/api/schema/openapi.json").json()
    assert body["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert body["security"] == [{"bearer": []}]
    assert {"/health", "/api/runs", "/api/events"} <= body["paths"].keys()


@pytest.mark.sim
def test_a_growing_tape_is_followed_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "INTERVAL_S", 0.02)
    folder, tape = tmp_path / "tapes" / "accounts" / "main", HandTape()
    tape.trade(1, 0, BUY, 3, 1000)
    write(folder, tape)
    headers = {"Authorization": f"Bearer {make_token(tmp_path, 1, 'me')}"}
    with TestClient(serve.make_app(tmp_path, Settings())) as client:

        def fills():
            items = client.get("/api/runs", headers=headers).json()["items"]
            return items[0]["fills"] if items else 0

        def wait(count):
            deadline = time.monotonic() + 5
            while fills() != count and time.monotonic() < deadline:
                time.sleep(0.01)
            return fills()

        assert wait(1) == 1
        done = len(tape.made)
        tape.trade(1, 0, SELL, 3, 1100)
        write(folder, tape, done)
        assert wait(2) == 2
        bad = tmp_path / "runs" / "bad"
        bad.mkdir(parents=True)
        (bad / "00000001.segment").write_bytes(b"ONETAPE\x01 not a frame")
        (tmp_path / "runs" / "empty").mkdir()
        client.app.state.views.refresh()
        health = client.get("/health").json()
        assert health["tapes"] == 3 and health["unread_tapes"] <= 1
        assert fills() == 2


@pytest.mark.e2e
def test_hints_bring_what_is_new_at_once(tmp_path, monkeypatch):
    """With looks half a minute apart, what is in the read models within moments came by a hint."""
    monkeypatch.setattr(following, "INTERVAL_S", 30.0)
    folders = [tmp_path / "tapes" / "accounts" / name for name in ("main", "second")]
    tapes, lags = [HandTape(n) for n in range(2)], []
    for folder, tape in zip(folders, tapes, strict=True):
        write(folder, tape)
    with TestClient(serve.make_app(tmp_path, Settings())) as client:
        views = client.app.state.views

        def fills():
            with views.cursor() as cursor:
                return dict(cursor.execute("SELECT tape, count(*) FROM fills GROUP BY tape").fetchall())

        give_up = time.monotonic() + 20
        while views.tapes_known < 2 and time.monotonic() < give_up:
            time.sleep(0.01)
        time.sleep(0.3)  # until it listens
        publishers = [HintPublisher(folder) for folder in folders]
        time.sleep(1.2)  # until it is connected: writers that come later are looked for once a second
        for n in range(12):
            folder, tape, publisher = folders[n % 2], tapes[n % 2], publishers[n % 2]
            done = len(tape.made)
            tape.trade(1, 0, BUY, 1, 1000)
            write(folder, tape, done)
            began = time.monotonic()
            publisher.send(tape.seq)
            while fills().get(f"accounts/{folder.name}", 0) != n // 2 + 1 and time.monotonic() < give_up:
                time.sleep(0.001)
            lags.append(time.monotonic() - began)
        for publisher in publishers:
            publisher.close()
        assert client.get("/health").json()["unread_tapes"] == 0
    print("LAGS", [round(x * 1e3, 1) for x in lags])
    assert sorted(lags)[6] < 0.5, lags


@pytest.mark.sim
def test_read_models_outlive_the_server_and_notice_another_tape(tmp_path):
    folder, tape = tmp_path / "tapes" / "accounts" / "main", hand_tape(8)
    write(folder, tape)

    def fills():
        views = serve.Views(tmp_path)
        views.refresh()
        assert views.unread == 0
        with views.cursor() as cursor:
            found = cursor.execute("SELECT count(*) FROM fills").fetchone()[0]
        views.close()
        return found

    count = fills()
    assert count == fills() > 0
    done = len(tape.made)
    tape.trade(1, 0, BUY, 1, 1000)
    write(folder, tape, done)
    assert fills() == count + 1
    for file in folder.iterdir():
        file.unlink()
    other = HandTape()
    other.made[0]["ts_event"] += 1
    other.trade(1, 0, BUY, 1, 1000)
    write(folder, other)
    assert fills() == 1
    (tmp_path / "views" / "serve.duckdb").write_bytes(b"not a database, but this long")
    assert fills() == 1
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert fills() == 0


@pytest.mark.sim
def test_two_servers_on_one_home_are_refused(tmp_path):
    views = serve.Views(tmp_path)
    try:
        code = (
            "from pathlib import Path; from api.read_models import open_database; from kernel.errors import ConfigError\n"
            f"try: open_database(Path({str(tmp_path)!r}) / 'views' / 'serve.duckdb')\n"
            "except ConfigError as error: print(error)"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "another `onetape serve`" in said
    finally:
        views.close()
    assert isinstance(open_database(tmp_path / "views" / "serve.duckdb"), duckdb.DuckDBPyConnection)


def test_it_listens_only_where_allowed(tmp_path, monkeypatch):
    import uvicorn

    called = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: called.append((app, options)))
    loose = Settings().model_copy(update={"serve": Settings().serve.model_copy(update={"host": "0.0.0.0"})})
    with pytest.raises(ConfigError, match=r"serve\.host"):
        serve.serve(tmp_path, loose)
    assert not called
    serve.serve(tmp_path, Settings())
    app, options = called[0]
    assert options["host"] == "127.0.0.1" and options["port"] == 8377 and options["server_header"] is False
    assert socket.inet_aton(options["host"])
    app.state.views.close()


def test_rows_of_a_tape_are_whole_records(home):
    """What the reader gives is what was written: the tests above stand on it."""
    read = [rows for rows, _ in HomeTapes(home).rows(home / "runs" / "r-1", 0)]
    assert join_rows(read).tobytes() == hand_tape(5).rows().tobytes()


def test_an_unknown_parameter_is_refused(ask):
    """`after` for `from_seq`: answered with the first page it would be wrong data."""
    found = is_problem(ask("/api/events", tape=TAPE, after=5), 400)
    assert "no parameter 'after'" in found["detail"] and "from_seq" in found["detail"]
    is_problem(ask("/api/runs", limit=1), 400)
