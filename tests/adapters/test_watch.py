"""The watch over the machine's clock: backwards, forwards, and both told once."""

from adapters.clocks.watch import ClockWatch

S = 10**9


def test_a_clock_that_goes_on_as_time_does():
    wall, steady = [1_000 * S], [50 * S]
    watch = ClockWatch(lambda: wall[0], lambda: steady[0])
    for step in (1, 60, 3_600):
        wall[0] += step * S
        steady[0] += step * S
        assert watch.look() is None


def test_jumps_are_told_once_with_their_size():
    wall, steady = [1_000 * S], [50 * S]
    watch = ClockWatch(lambda: wall[0], lambda: steady[0])
    for jump_ns, is_told in (
        (-60_000_000, True),
        (-49_000_000, False),
        (501_000_000, True),
        (400_000_000, False),
        (-3_600 * S, True),
    ):
        wall[0] += 10 * S + jump_ns
        steady[0] += 10 * S
        found = watch.look()
        if is_told:
            assert found is not None and abs(found[0] - jump_ns) <= 500_000_000 and found[1] == wall[0]
            assert watch.look() is None
        else:
            assert found is None
            wall[0] -= jump_ns
