"""The kill switch outside the kernel: its file, its signals, what the gate lets out, and how soon it closes."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from adapters.disk import Disk
from adapters.kill import FILE, KillSwitch, forbidden, parse_level, read_trip, remove_trip, write_trip
from adapters.venues.simulated import SimulatedVenue
from kernel.codes import Flag, KillLevel, Kind, Reason
from kernel.schema import events

OFF, REDUCE_ONLY, NO_NEW_ORDERS, CANCEL_ALL, FLATTEN = KillLevel
REDUCES = int(Flag.REDUCE_ONLY)


def orders(*made: tuple[Kind, dict]) -> np.ndarray:
    rows = events(len(made))
    for seq, (row, (kind, fields)) in enumerate(zip(rows, made, strict=True), 1):
        row["seq"], row["kind"] = seq, int(kind)
        for name, value in fields.items():
            row[name] = value
    return rows


class TestFile:
    @pytest.mark.parametrize(
        ("text", "level"),
        [
            ("cancel_all fat finger", CANCEL_ALL),
            ("1 x", REDUCE_ONLY),
            ("FLATTEN\n", FLATTEN),
            ("no-new-orders", NO_NEW_ORDERS),
        ],
    )
    def test_what_a_person_writes(self, tmp_path, text, level):
        (tmp_path / FILE).write_text(text)
        trip = read_trip(tmp_path / FILE)
        assert (trip.level, trip.reason, trip.who) == (level, Reason.KILL_FILE, "")

    @pytest.mark.parametrize("data", [b"", b"\n", b"off", b"0 x", b"5 x", b"please stop", b"\xff\xfe", b"\0" * 5000])
    def test_what_says_no_level_stops_new_orders(self, tmp_path, data):
        (tmp_path / FILE).write_bytes(data)
        assert read_trip(tmp_path / FILE).level == NO_NEW_ORDERS
        assert KillSwitch(tmp_path).look() == NO_NEW_ORDERS

    @pytest.mark.parametrize("what", ["folder", "link to nothing", "pipe"])
    def test_what_is_no_file_stops_new_orders(self, tmp_path, what):
        path = tmp_path / FILE
        {"folder": path.mkdir, "link to nothing": lambda: path.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(path)}[
            what
        ]()
        assert KillSwitch(tmp_path).look() == NO_NEW_ORDERS

    def test_a_folder_that_cannot_be_looked_into_stops_new_orders(self, tmp_path):
        (tmp_path / "account").write_text("")  # ENOTDIR, where root cannot be kept out
        assert KillSwitch(tmp_path / "account").look() == NO_NEW_ORDERS

    def test_none_is_off(self, tmp_path):
        assert read_trip(tmp_path / FILE) is None and KillSwitch(tmp_path, tmp_path / "gone").look() == OFF

    def test_written_whole_and_only_ever_higher(self, tmp_path):
        path = tmp_path / FILE
        os.umask(before := os.umask(0o077))
        assert write_trip(path, CANCEL_ALL, "fat\n finger", "asha").level == CANCEL_ALL
        assert path.read_text() == "cancel_all fat finger\nby asha\n" and path.stat().st_mode & 0o777 == 0o644
        assert write_trip(path, REDUCE_ONLY, "less", "ravi").who == "asha"
        assert write_trip(path, FLATTEN, "more", "ravi").reason is Reason.OPERATOR
        assert read_trip(path).why == "more" and os.listdir(tmp_path) == [FILE]
        assert os.umask(before) == before

    def test_many_at_once(self, tmp_path):
        path, levels = tmp_path / FILE, [REDUCE_ONLY, NO_NEW_ORDERS, CANCEL_ALL, FLATTEN] * 4
        threads = [threading.Thread(target=write_trip, args=(path, level, "x" * 99, "me")) for level in levels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read_trip(path).level == FLATTEN and os.listdir(tmp_path) == [FILE]

    def test_a_full_disk_still_stops_new_orders(self, tmp_path, monkeypatch):
        def no_room(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.write", no_room)
        assert write_trip(tmp_path / FILE, FLATTEN, "x", "me").level == NO_NEW_ORDERS
        assert os.listdir(tmp_path) == [FILE]

    def test_only_what_a_person_saw_is_taken_away(self, tmp_path):
        path = tmp_path / FILE
        seen = write_trip(path, CANCEL_ALL, "one", "me")
        write_trip(path, FLATTEN, "two", "me")
        assert not remove_trip(path, seen) and path.exists()
        assert remove_trip(path, read_trip(path)) and not path.exists()

    def test_levels(self):
        for text in ("", "off", "0", "5", "kill"):
            with pytest.raises(ValueError, match="reduce_only \\(1\\)"):
                parse_level(text)


class TestSwitch:
    def test_it_only_rises(self, tmp_path):
        home, account = tmp_path, tmp_path / "a"
        account.mkdir()
        switch = KillSwitch(account, home)
        write_trip(account / FILE, REDUCE_ONLY, "a", "me")
        assert switch.look() == REDUCE_ONLY and switch.trip.source == "account file"
        write_trip(home / FILE, CANCEL_ALL, "h", "me")
        assert switch.look() == CANCEL_ALL and switch.trip.source == "home file"
        (home / FILE).unlink()
        (account / FILE).unlink()
        assert switch.look() == CANCEL_ALL
        switch.signalled("SIGUSR1")
        assert switch.trip.source in ("home file", "signal")
        switch.signalled("SIGUSR2")
        assert switch.level == FLATTEN and switch.trip.reason is Reason.KILL_SIGNAL
        assert KillSwitch(account, home).look() == OFF

    def test_a_file_that_is_changed_is_read_again(self, tmp_path):
        switch = KillSwitch(tmp_path)
        (tmp_path / FILE).write_text("reduce_only")
        assert switch.look() == REDUCE_ONLY
        (tmp_path / FILE).write_text("flatten now")
        assert switch.look() == FLATTEN

    def test_signals(self, tmp_path):
        before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
        try:
            switch = KillSwitch(tmp_path)
            switch.listen()
            os.kill(os.getpid(), signal.SIGUSR1)
            assert switch.level == CANCEL_ALL
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGUSR1)
            assert switch.level == FLATTEN and switch.trip.why == "SIGUSR2"
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class TestGate:
    ROWS = orders(
        (Kind.SIGNAL, {"reason": int(Reason.FLATTENED)}),
        (Kind.ORDER_SUBMITTED, {"cause": 1, "flags": REDUCES}),  # 2: the kernel closes
        (Kind.ORDER_SUBMITTED, {"cause": 9}),  # 3: may open
        (Kind.ORDER_SUBMITTED, {"cause": 9, "flags": REDUCES}),  # 4: a strategy closes
        (Kind.ORDER_RELEASED, {"flags": REDUCES}),  # 5: the exit of an entry that was filled
        (Kind.ORDER_CANCEL_SUBMITTED, {}),  # 6
        (Kind.ORDER_REPLACE_SUBMITTED, {"qty": 10, "cum_qty": 4, "leaves_qty": 6}),  # 7: a price only
        (Kind.ORDER_REPLACE_SUBMITTED, {"qty": 11, "cum_qty": 4, "leaves_qty": 6}),  # 8: grows
    )

    @pytest.mark.parametrize(
        ("level", "stays"),
        [
            (OFF, []),
            (REDUCE_ONLY, [3, 8]),
            (NO_NEW_ORDERS, [3, 4, 8]),
            (CANCEL_ALL, [3, 4, 5, 7, 8]),
            (FLATTEN, [3, 4, 5, 7, 8]),
        ],
    )
    def test_what_each_level_withholds(self, level, stays):
        venue = SimulatedVenue(gate=lambda: level)
        assert venue.send(self.ROWS, 8) == 7 - len(stays)
        assert venue.take_withheld()["seq"].tolist() == stays and len(venue.take_withheld()) == 0
        sent = self.ROWS[1:]
        assert sent["seq"][forbidden(sent, self.ROWS, level)].tolist() == stays


def one(seq: int) -> np.ndarray:
    rows = orders((Kind.ORDER_SUBMITTED, {}))
    rows["seq"] = seq
    return rows


@pytest.mark.parametrize("how", ["file", "signal"])
def test_no_order_leaves_once_it_is_tripped(tmp_path, how, monkeypatch):
    """Trip to gate: from just before the rename, or the signal, to the first send that withholds."""
    before, waits, looks, tripped_at = signal.getsignal(signal.SIGUSR1), [], [], [0.0]

    class Timed(Disk):
        def rename(self, old, new):
            tripped_at[0] = time.perf_counter()
            super().rename(old, new)

    monkeypatch.setattr("adapters.kill.DISK", Timed())
    try:
        for turn in range(100):
            folder = tmp_path / str(turn)
            folder.mkdir()
            switch = KillSwitch(folder, tmp_path)
            switch.listen()
            venue, seq = SimulatedVenue(gate=switch.look), 0

            def pull(folder=folder):
                time.sleep(0.0005)
                if how == "file":
                    write_trip(folder / FILE, CANCEL_ALL, "now", "me")
                else:
                    tripped_at[0] = time.perf_counter()
                    os.kill(os.getpid(), signal.SIGUSR1)

            thread = threading.Thread(target=pull)
            thread.start()
            while venue.send(one(seq + 1), seq + 1):
                seq += 1
            closed = time.perf_counter()
            thread.join()
            waits.append(closed - tripped_at[0])
            assert venue.sent == seq and not venue.send(one(seq + 2), seq + 2)
            began = time.perf_counter()
            for _ in range(100):
                KillSwitch.look(switch)
            looks.append((time.perf_counter() - began) / 100)
    finally:
        signal.signal(signal.SIGUSR1, before)
    p99 = sorted(waits)[98]
    print(f"{how}: trip to gate p99 {p99 * 1e6:,.0f} us; a look {np.median(looks) * 1e6:.1f} us")
    assert p99 < 1.0  # it is printed: a machine may be busy
