"""`onetape backtest`, `replay`, `live` and `verify`: flags to a request, and the outcome as text or JSON."""

import re
import signal
import sys
import threading
from argparse import Namespace

from api.commands.common import numbers, print_json, say_if_compiling, settings_of
from api.progress import Progress
from api.request import Request
from kernel.errors import ConfigError, TapeCorrupt


def request_of(options: Namespace, strategies: list[str]) -> Request:
    return Request(
        strategies=strategies,
        symbols=_list(options.symbols),
        first_day=options.first_day,
        last_day=options.last_day,
        cash=options.cash,
        fees=options.fees,
        charges=options.charges,
        product=options.product,
        venue=options.venue,
        seed=options.seed,
        tapes=_list(options.tapes),
        warm_up_days=options.warm_up_days,
        universe=options.universe,
        square_off=_clock(options.square_off),
        bars=options.bars,
        currency=_currency(options.currency),
        fx=options.fx,
    )


def _currency(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[A-Z][A-Z0-9]{2,7}", text):
        raise ConfigError(f"--currency {text}: write its letters, such as INR")
    return text


def _clock(text: str | None) -> str | None:
    from adapters.settings_text import check_clock

    try:
        return text if text is None else check_clock(text)
    except ValueError as error:
        raise ConfigError(f"--square-off {error}") from None


def _list(text: str | None) -> list[str]:
    names = [part.strip() for part in (text or "").split(",") if part.strip()]
    if text and not names:
        raise ConfigError(f"{text!r} names nothing: write one or more names, separated by commas")
    return names


def run_backtest(options: Namespace) -> int:
    from api.backtest import run_backtest as backtest

    home, settings = settings_of(options)
    say_if_compiling()
    with Progress("backtest", None, quiet=options.json) as progress:
        result = backtest(home, settings, request_of(options, options.strategy), progress.at)
    if options.json:
        print_json(numbers(result.summary()) | {"faults_text": result.faults})
    if options.report or not options.json:
        from api.show import print_report, report_data, write_page

        data = report_data(result.folder)
        if not options.json:
            print_report(data)
        if options.report:
            print(f"report: {write_page(home, data)}", file=sys.stderr if options.json else sys.stdout)
    for fault in result.faults:
        print(f"onetape: {fault}", file=sys.stderr)
    return 1 if result.faults else 0


def run_replay(options: Namespace) -> int:
    from api.replay import Outcome, find_run, is_date, replay_date, replay_run

    home, _ = settings_of(options)
    say_if_compiling()
    outcomes = (
        replay_date(home, options.what) if is_date(options.what) else [replay_run(home, find_run(home, options.what))]
    )
    if options.json:
        print_json(outcomes[0].as_dict() if len(outcomes) == 1 else [outcome.as_dict() for outcome in outcomes])
    for outcome in outcomes if not options.json else []:
        _print_outcome(outcome)
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)
    return 0 if all(outcome.identical for outcome in outcomes) else 1


def _print_outcome(outcome) -> None:  # type: ignore[no-untyped-def]
    for change in outcome.code_changed:
        print(f"code changed since: {change}")
    if outcome.folded:
        print(f"code changed on the way: the first {outcome.folded:,} events are of other code, taken as recorded")
    d = outcome.divergence
    if d is None:
        print(f"identical: {outcome.events:,} events, tape {outcome.tape_digest}, state {outcome.state_digest}")
    else:
        print(
            f"diverged at seq {d.seq:,}: {d.kind} {d.field} was {d.recorded}, now {d.recomputed} "
            f"({outcome.events:,} events before it are identical)"
        )


def run_live(options: Namespace) -> int:
    from api.live import parse_feed
    from api.live import run_live as live

    home, settings = settings_of(options)
    strategies = options.strategy or list(settings.live.strategies)
    feed = options.feed or settings.live.feed
    if not feed:
        raise ConfigError("no feed: give --feed replay:TAPE@max or @60x, or set live.feed")
    spec = parse_feed(feed)
    options.tapes = options.tapes or ",".join(spec.tapes) or None
    if not options.universe:
        options.symbols = options.symbols or ",".join(settings.live.symbols) or None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    say_if_compiling()
    with Progress("live", None, quiet=options.json) as progress:
        account = options.account or settings.account.name
        found = live(home, settings, request_of(options, strategies), spec, account, stop, progress.at)
    if options.json:
        print_json(numbers(found))
    else:
        _print_live(found)
    for fault in found["fault_texts"]:
        print(f"onetape: {fault}", file=sys.stderr)
    return 1 if found["fault_texts"] else 0


def _print_live(found: dict) -> None:
    if found["recovered_events"]:
        print(_how_restored(found))
    print(
        f"{'stopped' if found['stopped'] else 'feed ended'}: {found['new_bars']:,} new bars, "
        f"{found['orders']:,} orders, {found['fills']:,} fills, equity {found['final_equity']}\n"
        f"account tape {found['tape']}\ndecision digest {found['decision_digest']}\ntape digest {found['tape_digest']}"
    )
    if found["kill_level"] != "OFF":
        print(f"the kill switch is at {found['kill_level']}: `onetape kill --show` says why, a person resets it")


def _how_restored(found: dict) -> str:
    folded, events = found["folded_events"], found["recovered_events"]
    if not folded:
        again = f"the last {found['recomputed_events']:,} recomputed identically" if found["recomputed_events"] else ""
        return f"went on after {events:,} recorded events" + (f", {again}" if again else ", from a snapshot")
    return (
        f"code changed: orders and money are those of the {folded:,} recorded events, memory was warmed up on them; "
        f"{found['differing_calls']:,} calls would decide otherwise today"
    )


def run_verify(options: Namespace) -> int:
    from api.replay import find_run
    from api.tapes import MARKET, all_tapes
    from api.verify import verify_home, verify_market, verify_run

    home, _ = settings_of(options)
    market = [tape.folder for tape in all_tapes(home) if (tape.kind, tape.name) == (MARKET, options.what)]
    if market:
        line = verify_market(home, market[0])
        print_json({"verified": 1, "tapes": [line]}) if options.json else print(line)
        return 0
    if options.what:
        found = verify_run(home, find_run(home, options.what))
        if options.json:
            print_json(vars(found))
        else:
            print(found.line())
        return 0
    lines: list[str] = []
    count, damaged = verify_home(home, lines.append if options.json else print)
    if options.json:
        print_json({"verified": count - len(damaged), "tapes": lines, "damaged": damaged})
    elif count == 0:
        print(f"nothing to verify in {home}")
    if damaged:
        raise TapeCorrupt(damaged[0] if len(damaged) == 1 else f"{len(damaged)} tapes are damaged; {damaged[0]}")
    return 0
