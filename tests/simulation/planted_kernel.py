"""Bugs to plant in the kernel: money, limits, the venue's models, ticks and linked orders. See `planted.py`."""

from tests.simulation.bug import Bug

TESTS = "tests/kernel/test_"
CHARGED, CONTRACTS, CURRENCIES = f"{TESTS}charged.py", f"{TESTS}contracts.py", f"{TESTS}currencies.py"
LIMITS, KILL, EXECUTION = f"{TESTS}limits.py", f"{TESTS}kill.py", f"{TESTS}execution.py"
TICKS, LINKS, TRAPS = f"{TESTS}ticks.py", f"{TESTS}links.py", f"{TESTS}order_traps.py"
MACHINE = f"{TESTS}state_machine.py::test_every_move_at_the_simulated_venue"
TOGETHER = f"{TESTS}state_machine.py::TestTogether"

BUGS = [
    Bug(
        "charges: an order's brokerage is taken anew with every fill",
        "kernel/charges.py",
        "    return total - charged\n",
        "    return total\n",
        (CHARGED,),
    ),
    Bug(
        "charges: a rule is in force on its last day, too",
        "kernel/charges.py",
        "rule.since <= ts < rule.until\n    return dated",
        "rule.since <= ts <= rule.until\n    return dated",
        (CHARGED,),
    ),
    Bug(
        "settle: a worthless option is exercised",
        "kernel/settle.py",
        "row.asset == OPTION and expiry.settle_px > 0",
        "row.asset == OPTION and expiry.settle_px >= 0",
        (CONTRACTS,),
    ),
    Bug(
        "settle: the holder of a put is delivered shares",
        "kernel/settle.py",
        "row.right if row.asset == OPTION else 1",
        "1",
        (CONTRACTS,),
    ),
    Bug(
        "settle: a day that ends settles futures of every calendar",
        "kernel/settle.py",
        "    if row.calendar != timer.setting:\n",
        "    if False:\n",
        (MACHINE,),
        compiled=True,
    ),
    Bug(
        "margin: a future's open loss can be spent",
        "kernel/margin.py",
        "share_of(worth, row.margin, 1) + max(0, -m.value)",
        "share_of(worth, row.margin, 1)",
        (CONTRACTS,),
    ),
    Bug(
        "margin: product MARGIN is paid in full",
        "kernel/margin.py",
        "(product == INTRADAY or product == MARGIN)",
        "product == INTRADAY",
        (MACHINE,),
        compiled=True,
    ),
    Bug(
        "lots: a fill that turns a position opens no lot",
        "kernel/lots.py",
        "    if opened > 0:\n",
        "    if opened > 0 and closed == 0:\n",
        (CURRENCIES,),
    ),
    Bug(
        "lots: a part of a lot takes all its cost with it",
        "kernel/lots.py",
        "cost = first.cost if part == first.qty else mul_div(first.cost, part, first.qty, HALF_EVEN)",
        "cost = first.cost",
        (CURRENCIES,),
    ),
    Bug(
        "limits: a message more than there may be in a minute",
        "kernel/limits.py",
        "messages, limit.max_orders_minute, ts - MINUTE):",
        "messages - 1, limit.max_orders_minute, ts - MINUTE):",
        (LIMITS,),
    ),
    Bug(
        "limits: working orders do not count as exposure",
        "kernel/limits.py",
        "    if limit.max_gross > 0 and gross + t.notional + worth > limit.max_gross:\n",
        "    if limit.max_gross > 0 and gross + worth > limit.max_gross:\n",
        (LIMITS,),
    ),
    Bug(
        "limits: what closes is held to counts",
        "kernel/limits.py",
        "            if reason == NONE and opening > 0:\n                reason, actual, allowed = _refuse_flow",
        "            if reason == NONE:\n                reason, actual, allowed = _refuse_flow",
        (LIMITS,),
    ),
    Bug(
        "guards: a tripped switch leaves the orders where they are",
        "kernel/guards.py",
        "    return account(s).kill_level > level\n",
        "    return False\n",
        (MACHINE,),
        compiled=True,
    ),
    Bug(
        "guards: a loss of exactly the limit trips",
        "kernel/guards.py",
        "t.day_result - t.result > limit.max_day_loss",
        "t.day_result - t.result >= limit.max_day_loss",
        (KILL,),
    ),
    Bug(
        "execution: orders of one bar do not share its volume",
        "kernel/execution.py",
        "SHARE, DOWN) - bound(s, o.instrument).taken\n    most -= most % lot\n    if o.tif == FOK and most < o.leaves_qty:\n        return 0",
        "SHARE, DOWN)\n    most -= most % lot\n    if o.tif == FOK and most < o.leaves_qty:\n        return 0",
        (EXECUTION,),
    ),
    Bug(
        "execution: a sale slips upwards",
        "kernel/execution.py",
        "mul_div(max(0, px - away), 1, tick, DOWN) * tick",
        "mul_div(max(0, px + away), 1, tick, DOWN) * tick",
        (EXECUTION,),
    ),
    Bug(
        "arrival: an order is there a bar too early",
        "kernel/orders.py",
        "m.bars - bars > r.latency_events",
        "m.bars - bars >= r.latency_events",
        (EXECUTION,),
    ),
    Bug(
        "arrival: a change arrives with the price it had",
        "kernel/arrival.py",
        "e.qty, e.px, e.trigger_px = o.next_qty, o.next_px, o.next_trigger_px",
        "e.qty, e.px, e.trigger_px = o.next_qty, o.px, o.next_trigger_px",
        (EXECUTION,),
    ),
    Bug(
        "ticks: the queue before an order fills it, too",
        "kernel/ticks.py",
        "rules(s).queue != 0 and o.queue < 0:\n        _fill(s, e, o, -o.queue, px)",
        "rules(s).queue != 0:\n        _fill(s, e, o, e.trade_qty, px)",
        (TICKS,),
    ),
    Bug(
        "ticks: fill-or-kill takes what there is",
        "kernel/ticks.py",
        "    if o.tif == FOK and most < o.leaves_qty:\n        return\n",
        "",
        (TICKS,),
    ),
    Bug(
        "bars: a late trade is folded into the next bar",
        "kernel/bars.py",
        "    return rules(s).bar_kind == BY_TIME and e.ts_event < m.bar_edge\n",
        "    return False\n",
        (TICKS,),
    ),
    Bug(
        "bars: a bar is closed before its grace is over",
        "kernel/bars.py",
        "return ts >= b.ts_close + r.bar_grace",
        "return ts >= b.ts_close",
        (TICKS,),
    ),
    Bug(
        "links: exits of two entries may each close all of it",
        "kernel/links.py",
        "            left -= y.leaves_qty\n",
        "            pass\n",
        (TOGETHER,),
    ),
    Bug(
        "links: the other of a pair is not cut to what is left",
        "kernel/links.py",
        "    elif o.flags & OCO:\n        most = min(most, _open_qty(o) - o.cum_qty)\n",
        "",
        (TOGETHER,),
    ),
    Bug(
        "trailing: a trigger follows the price back",
        "kernel/trailing.py",
        "o.trigger_px = max(o.trigger_px, trailing_trigger(s, instrument, o.side, o.trail, high))",
        "o.trigger_px = trailing_trigger(s, instrument, o.side, o.trail, high)",
        (LINKS, f"{TESTS}venue.py", EXECUTION),
    ),
    Bug(
        "reports: a repeated trade is booked again",
        "kernel/reports.py",
        "        if e.origin == EXTERNAL and e.ref != 0 and _is_known_trade(s, e.ref):\n",
        "        if False:\n",
        (TRAPS,),
    ),
]
