"""State machine."""
from time import perf_counter
from collections import Counter
import pytest
from hypothesis import given, settings, strategies as st

from tests.kernel.chance import SWITCHES, World, TERMS, STRATEGIES, joined
from unittest import mock
from tests.kernel import play
from kernel.codes import Kind
from tests.kernel.broker import Broker
from tests.kernel.model import Model, check_reserve
from tests.kernel.play import SCRIPTED, check_books
from kernel.codes import Reason, Status
def check(engine):
    with mock.patch.object(play, "check_reserve", lambda *_: None):
        check_books(engine)
    check_reserve(engine)

def test_try(load):
    one = load(SCRIPTED)
    from random import Random
    total, fails = 0, Counter()
    spent = Counter()
    kinds = Counter(); den = Counter(); seen=Counter()
    for seed in range(100):
        rng = Random(seed)
        on = frozenset(n for n in SWITCHES if rng.random() < 0.5) - {"actions", "expiries", "trade_bars", "ticks"}
        wild = frozenset(n for n in ("reordered", "late", "twice", "rubbish") if rng.random() < 0.6)
        t0 = perf_counter(); tapes = []
        w = World(one, seed, on, simulate=False)
        m = Model(w.cash, TERMS, w.limits, STRATEGIES, 2)
        b = Broker(seed, wild)
        try:
            for c in range(6):
                for rows in w.go(seed * 100 + c, 10):
                    b.trade(10)
                    reports = b.deliver(rows["ts_init"][0], m)
                    t1 = perf_counter()
                    tape = w.feed(joined([play.as_events(reports), rows]))
                    t2 = perf_counter(); spent["feed"] += t2 - t1
                    tapes.append(tape); m.take(tape)
                    t3 = perf_counter(); spent["model"] += t3 - t2
                    b.hear(tape)
                    total += len(tape)
                m.compare(w.engine)
                if rng.random() < 0.5:
                    saved = w.engine.save()
                    w.engine = w.make()
                    w.engine.load(saved)
            check(w.engine)
            for n in range(200):
                b.trade(10)
                tape = w.feed(b.deliver(int(w.engine.account.ts), m, everything=True))
                tapes.append(tape); m.take(tape)
                b.hear(tape)
                if b.is_done(): break
            m.compare(w.engine)
            b.agree(m)
            check(w.engine)
        except Exception as error:
            import traceback
            tb = traceback.extract_tb(error.__traceback__)[-1]
            fails[f"{type(error).__name__} {str(error)[:100]} {tb.name}:{tb.lineno} {tb.line}"] += 1
            if "working" in str(error):
                import re
                for i in set(re.findall(r"(\d+): \(", str(error))):
                    for e in joined(tapes):
                        if e["kind"] >= 64 and e["order_id"] == int(i): print("   ", i, e["seq"], Kind(int(e["kind"])).name, e["origin"], e["status"], "qty", e["qty"], "cum", e["cum_qty"], "lv", e["leaves_qty"], "ref", e["ref"], Reason(int(e["reason"])).name)
            print(seed, sorted(on), wild, repr(error)[:500], tb.name, tb.lineno)
        spent["all"] += perf_counter() - t0
        kinds += m.kinds; den += m.denials; seen += m.seen
    print(total, dict(spent))
    for k, v in fails.most_common(): print(v, k)
    print({Kind(k).name: v for k, v in kinds.items()})
    print({Reason(k).name: v for k, v in den.most_common()})
    print({Status(a).name+"+"+Kind(k).name: v for (a,k), v in seen.most_common()})
    assert 0
