"""The one switch: the same source runs compiled (default) or interpreted (`ONETAPE_JIT=0`).

Only entries are cached on disk (`machine.run_at`, strategies); helpers are inlined into them or stay calls where a bar
seldom passes. numba does not notice a changed helper, so the cache folder is named by a hash of the code
(`kernel.codehash`).
"""

import ast
import ctypes
import inspect
import os
import textwrap
from collections.abc import Callable
from functools import lru_cache

import numpy as np

PROGRAM_FAULT = -1
COMPILED = os.environ.get("ONETAPE_JIT", "1") != "0"

if COMPILED:
    from kernel.codehash import point_numba_at_cache

    point_numba_at_cache()  # before numba reads its environment
    from numba import carray, cfunc, from_dtype, njit, types
    from numba.extending import intrinsic, overload

    from kernel.linker import EntryCompiler, PartCompiler, PlainCompiler

    def _part(
        f: Callable, as_python: Callable | None = None, compiler: type = PlainCompiler, **options: object
    ) -> Callable:
        """Compile what is only ever linked into an entry. Called from Python (a notebook, a test) it runs as the Python
        it is written in: numba would go through a wrapper that parts do not have, and end the process."""
        wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        part = njit(pipeline_class=compiler, **wrappers, **options)(f)
        part.add_overload = lambda compiled: part.overloads.update({tuple(compiled.signature.args): compiled})
        part._compile_for_args = lambda *args, **named: as_python or f
        return part

    def jit(f: Callable) -> Callable:
        """Compile a kernel helper and inline it into its caller: integer semantics as written, no fastmath."""
        return _part(f, forceinline=True, error_model="numpy")

    def jit_call(f: Callable) -> Callable:
        """Compile a kernel helper that stays a call: left to itself LLVM inlines it everywhere, for minutes."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(f)))
        made = tree.body[0]
        assert isinstance(made, ast.FunctionDef)
        made.decorator_list = []
        made.body.insert(1 if ast.get_docstring(made) else 0, ast.parse("stays_a_call()").body[0])
        ast.increment_lineno(ast.fix_missing_locations(tree), f.__code__.co_firstlineno - 1)
        scope: dict = {}
        f.__globals__["stays_a_call"] = stays_a_call
        exec(compile(tree, f.__code__.co_filename, "exec"), f.__globals__, scope)
        return _part(scope[f.__name__], f, forceinline=False, error_model="numpy")

    def jit_shared(f: Callable) -> Callable:
        """As `jit_call`, of a helper that is called with whole numbers of several widths: it is compiled once, behind a
        small one for each."""
        names = list(inspect.signature(f).parameters)
        scope = {"body": jit(f), "stays_a_call": stays_a_call, "i8": i8}
        passed = ", ".join(f"i8({name})" for name in names)
        exec(f"def {f.__name__}({', '.join(names)}):\n    stays_a_call()\n    return body({passed})\n", scope)
        call = scope[f.__name__]
        call.__doc__, call.__module__ = f.__doc__, f.__module__
        return _part(call, f, forceinline=False, error_model="numpy")

    @intrinsic
    def i8(typingctx, x):  # type: ignore[no-untyped-def]
        """A whole number of any width as int64, anything else as it is: so that a helper is compiled once, not once for
        each width of the fields it is called with."""
        narrow = isinstance(x, types.Integer)

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return context.cast(builder, args[0], sig.args[0], sig.return_type)

        return (types.int64 if narrow else x)(x), codegen

    @intrinsic
    def stays_a_call(typingctx):  # type: ignore[no-untyped-def]
        """Marks the function being compiled as never to be inlined."""

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            builder.function.attributes.add("noinline")
            return context.get_dummy_value()

        return types.void(), codegen

    def jit_entry(f: Callable) -> Callable:
        """Compile a function Python calls, and keep its machine code on disk."""
        return njit(
            cache=True,
            error_model="numpy",
            forceinline=False,
            no_cpython_wrapper=False,
            no_cfunc_wrapper=True,
            nogil=True,
            pipeline_class=EntryCompiler,
        )(f)

    def jit_user(f: Callable) -> Callable:
        """Compile strategy and indicator code: out-of-range indexing raises instead of reading other memory."""
        return _part(f, compiler=PartCompiler, forceinline=True, boundscheck=True, error_model="python")

    def jit_indicator(f: Callable) -> Callable:
        """As `jit_user`, by the short list of passes: no lists, closures or literals."""
        return _part(f, forceinline=True, boundscheck=True, error_model="python")

    def jit_helper(f: Callable) -> Callable:
        """As `jit_user`, of a function that Python calls, too."""
        return njit(boundscheck=True, error_model="python", pipeline_class=EntryCompiler)(f)

    def jit_program(f: Callable) -> Callable:
        """Compile a strategy's entry to the one fixed signature (memory address, frame address) -> code."""
        signature = types.int64(types.int64, types.int64)
        return cfunc(signature, cache=True, boundscheck=True, pipeline_class=EntryCompiler)(f)

    @intrinsic
    def _call_address(typingctx, address, memory, frame):  # type: ignore[no-untyped-def]
        """Call native code of the fixed program signature that lives at `address`."""
        from llvmlite import ir

        signature = types.int64(types.int64, types.int64, types.int64)

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            word = ir.IntType(64)
            pointer = builder.inttoptr(args[0], ir.FunctionType(word, [word, word]).as_pointer())
            return builder.call(pointer, [args[1], args[2]])

        return signature, codegen

    def record_view(dtype: np.dtype) -> Callable:
        """A compiled function address -> the one record of `dtype` that lives there."""
        record = from_dtype(dtype)

        @intrinsic
        def view(typingctx, address):  # type: ignore[no-untyped-def]
            def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
                return builder.inttoptr(args[0], context.get_value_type(record))

            return record(types.int64), codegen

        return view

    @intrinsic
    def _pointer(typingctx, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

        return types.voidptr(types.int64), codegen

    def records_view(dtype: np.dtype) -> Callable:
        """A compiled function (address, count) -> the array of records of `dtype` that lives there."""

        def view(address, count):  # type: ignore[no-untyped-def]
            return carray(_pointer(address), (count,), dtype)

        return _part(view, compiler=PartCompiler)

    def overload_number(field: str) -> Callable:
        """A function x -> x.field when x is a record, x itself when it is a number."""

        def pick(x):  # type: ignore[no-untyped-def]
            return getattr(x, field) if hasattr(x, field) else x

        @overload(pick, jit_options={"forceinline": True})
        def compiled(x):  # type: ignore[no-untyped-def]
            if isinstance(x, types.Record):
                scope: dict = {}
                exec(f"def read(x):\n    return x.{field}\n", scope)
                return scope["read"]
            return lambda x: x

        return pick

    @njit(forceinline=True)
    def call_program(address, memory, frame):  # type: ignore[no-untyped-def]
        return _call_address(address, memory, frame)

    def program_address(program: Callable) -> int:
        return program.address  # type: ignore[attr-defined]

    _ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)

    def entry_of(f: Callable[[int, int], int]) -> tuple[int, object]:
        """Address at which `call_program` calls a Python function, and what has to be kept for as long."""
        kept = _ENTRY(f)
        return ctypes.cast(kept, ctypes.c_void_p).value or 0, kept

    @njit(forceinline=True)
    def failed():  # type: ignore[no-untyped-def]
        """What a program returns for an exception; compiled code cannot say which."""
        return PROGRAM_FAULT

else:

    def failed() -> int:
        """What a program returns for an exception."""
        return PROGRAM_FAULT

    def jit(f: Callable) -> Callable:
        return f

    jit_call = jit_shared = jit_entry = jit_user = jit_indicator = jit_helper = jit

    def jit_program(f: Callable) -> Callable:
        """numpy's numbers warn where compiled ones say nothing; a division by zero raises in `kernel.checked`."""

        def program(memory: int, frame: int) -> int:
            with np.errstate(all="ignore"):
                return f(memory, frame)

        return program

    _PROGRAMS: list[Callable] = []

    def record_view(dtype: np.dtype) -> Callable:
        @lru_cache(maxsize=65_536)
        def view(address: int) -> np.void:
            raw = (ctypes.c_char * dtype.itemsize).from_address(int(address))
            return np.frombuffer(raw, dtype)[0]

        return view

    def records_view(dtype: np.dtype) -> Callable:
        def view(address: int, count: int) -> np.ndarray:
            raw = (ctypes.c_char * (dtype.itemsize * int(count))).from_address(int(address))
            return np.frombuffer(raw, dtype)

        return view

    def overload_number(field: str) -> Callable:
        return lambda x: getattr(x, field) if hasattr(x, field) else x

    def call_program(address: int, memory: int, frame: int) -> int:
        return _PROGRAMS[address](memory, frame)

    def program_address(program: Callable) -> int:
        _PROGRAMS.append(program)
        return len(_PROGRAMS) - 1

    def entry_of(f: Callable[[int, int], int]) -> tuple[int, object]:
        return program_address(f), f
