"""How numba builds an entry: its helpers are linked once and compiled once, with it, instead of each on its own.

By itself numba optimises every helper together with all that it calls, and makes machine code of it that nobody runs:
two thirds of the engine's compilation. Here a helper's library keeps the helper's own LLVM module, and the entry's
library links the modules of all that it reaches; only that is optimised and made machine code, by the same passes.

It rests on numba's code libraries, which promise nothing: numba's version is locked, and `tests/kernel/test_linker.py`
tells when another one no longer fits.
"""

from collections.abc import Callable, Iterable
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import FixupArgs, GenericRewrites, IRProcessing, ReconstructSSA, TranslateByteCode


class _NoEnvironment:
    """Takes the environment numba makes for a function that Python calls, which a helper is not."""

    def set_env(self, name: str, environment: Any) -> None:
        return


class PartLibrary(JITCodeLibrary):
    """A helper: never run by itself, so never more than LLVM modules."""

    codegen = _NoEnvironment()

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0  # numba's word for code that Python cannot call

    def own_module(self) -> Any:
        """The helper alone, to be linked beside what it calls."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        """The helper with all that it calls, for a library that does not know of parts."""
        whole = self.own_module().clone()
        parts, others = reached_from(self._linking_libraries)
        for module in [part.own_module() for part in parts] + [other._get_module_for_linking() for other in others]:
            whole.link_in(module, preserve=True)
        return whole


class EntryLibrary(JITCodeLibrary):
    """A function Python calls, with every helper it reaches."""

    def finalize(self) -> None:
        parts, self._linking_libraries = reached_from(self._linking_libraries)
        for part in parts:
            self._final_module.link_in(part.own_module(), preserve=True)
        super().finalize()

    def _verify_declare_only_symbols(self) -> None:
        """numba looks at its own functions only; one of ours that is missing would be found by the next process."""
        missing = [f.name for f in self._final_module.functions if f.is_declaration and f.name.startswith("_ZN")]
        assert not missing, f"not linked: {', '.join(missing)}"


def reached_from(libraries: Iterable[Any]) -> tuple[list[PartLibrary], list[Any]]:
    """(helpers, other libraries) that `libraries` need, themselves included, each once and after all that need it.

    LLVM's linker leaves a function out that nothing linked before has asked for.
    """
    left: dict[Any, None] = {}  # libraries whose own needs are all in here, in the order they were left

    def visit(library: Any) -> None:
        if library not in left:
            for needed in library._linking_libraries if isinstance(library, PartLibrary) else ():
                visit(needed)
            left[library] = None

    for library in libraries:
        visit(library)
    found = list(left)[::-1]
    parts = [library for library in found if isinstance(library, PartLibrary)]
    return parts, [library for library in found if not isinstance(library, PartLibrary)]


# What the kernel's own helpers need. numba's list is twice as long, for what they do not use (closures, `with`, literal
# types, whole-array expressions), and after each pass it analyses the function anew: a sixth of the compilation.
_PLAIN = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    GenericRewrites,  # constant indices
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)


def _plain_passes(state: Any) -> PassManager:
    passes = PassManager("kernel")
    passes._ENFORCING = False  # each of these analyses what it needs
    for each in _PLAIN:
        passes.add_pass(each, each.__name__)
    passes.finalize()
    return passes


def _compiler(library: type[JITCodeLibrary], passes: Callable[[Any], PassManager]) -> type[CompilerBase]:
    class Compiler(CompilerBase):
        def define_pipelines(self) -> list[Any]:
            state = self.state
            state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
            return [passes(state)]

    return Compiler


PlainCompiler = _compiler(PartLibrary, _plain_passes)
PartCompiler = _compiler(PartLibrary, DefaultPassBuilder.define_nopython_pipeline)
EntryCompiler = _compiler(EntryLibrary, DefaultPassBuilder.define_nopython_pipeline)
