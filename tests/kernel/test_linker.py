"""Helpers are linked into their entry and made machine code there only: what we ask of numba's code libraries."""

import pytest

from kernel.jit import COMPILED, jit, jit_call, jit_helper, jit_user

pytestmark = pytest.mark.skipif(not COMPILED, reason="interpreted: nothing is linked")

if COMPILED:
    from numba import njit

    from kernel.linker import EntryLibrary, PartLibrary


@jit
def inlined(x):
    return x + 1


@jit_call
def called(x):
    if x < 0:
        raise ValueError("called: x is negative")
    return inlined(x) * 3


@jit_user
def indexed(table, k):
    return table[k]


@jit_helper
def entry(x):
    return called(x) + inlined(x)


@jit_helper
def helper(table, k):
    return called(indexed(table, k))


def library_of(dispatcher):
    (overload,) = dispatcher.overloads.values()
    return overload.library


def test_an_entry_runs_with_all_it_reaches():
    assert entry(4) == 20 and helper((7, 8), 1) == 27
    assert isinstance(library_of(entry), EntryLibrary) and isinstance(library_of(called), PartLibrary)
    names = {f.name for f in library_of(entry).get_defined_functions()}
    assert any("called" in name for name in names)  # a call that stayed one
    assert not any("inlined" in name for name in names)


def test_a_helper_is_no_machine_code_of_its_own():
    """That is what the time went into. Its module is what was written, not what it calls."""
    entry(1)
    part = library_of(called)
    defined = [f.name for f in part.own_module().functions if not f.is_declaration]
    assert defined and not any("inlined" in name for name in defined)
    engine = library_of(entry)._codegen._engine
    for helper_part in (part, library_of(inlined)):
        assert helper_part.get_pointer_to_function(defined[0]) == 0
    names = [f.name for f in library_of(inlined).own_module().functions if not f.is_declaration]
    assert names and not any(engine.is_symbol_defined(name) for name in names)


def test_errors_come_through():
    with pytest.raises(ValueError, match="called: x is negative"):
        entry(-1)
    with pytest.raises(IndexError):
        helper((7, 8), 2)


def test_numba_itself_can_call_a_helper():
    """Such as a user's notebook does: it links the helper with everything below it."""

    @njit
    def plain(x):
        return called(x)

    assert plain(2) == 9


def test_a_part_that_python_calls_runs_as_python():
    """Compiled as part of an entry or not yet: there is no machine code of it that Python could call."""
    part = jit(lambda x: x + 1)
    assert part(1) == 2
    entry = jit_helper(lambda x: part(x) * 2)
    assert entry(1) == 4
    assert part(1) == 2
