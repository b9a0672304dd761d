"""``hotloop ir``: what the compiler makes of a network, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from hotloop.cli.recipe_options import override, widths, with_optional
from hotloop.errors import ArgumentError, nearest
from hotloop.language import Sentence
from hotloop.training.recipes import find_recipe

if TYPE_CHECKING:
    from hotloop.compiler.choose_tiles import RowsShape
    from hotloop.compiler.target import Target
    from hotloop.engines.layers_task import LayersTask
    from hotloop.program.program import Program
    from hotloop.training.recipes import Recipe

__all__ = ["ir"]

_NETWORK = Parameter(group=Group("Network", sort_key=1))
_STAGE = Parameter(group=Group("Stage", sort_key=2))


def ir(
    table: str,
    /,
    *,
    target: Annotated[str | None, _NETWORK] = None,
    recipe: Annotated[str | None, _NETWORK] = None,
    hidden: Annotated[str | None, _NETWORK] = None,
    activation: Annotated[str | None, _NETWORK] = None,
    optimizer: Annotated[str | None, _NETWORK] = None,
    weight_decay: Annotated[float | None, _NETWORK] = None,
    batch_size: Annotated[str | None, _NETWORK] = None,
    class_weight: Annotated[Literal["balanced", "none"] | None, _NETWORK] = None,
    after: Annotated[str | None, _STAGE] = None,
    llvm: Annotated[bool, _STAGE] = False,
    asm: Annotated[bool, _STAGE] = False,
    level: Annotated[str | None, _STAGE] = None,
) -> None:
    """Show what the compiler makes of the network that hotloop train would train.

    Parameters
    ----------
    table
        A .csv, .tsv or .parquet file, or "iris".
    target
        Column to predict; the last by default.
    recipe
        lesson (default for iris) or tabular.
    hidden
        Widths of the hidden layers: 64,64 or none.
    activation
        relu, tanh, gelu, silu, elu, ...
    optimizer
        sgd, adam or adamw.
    weight_decay
        Pull of the weights towards 0.
    batch_size
        Rows of an update, or full.
    class_weight
        balanced: rare classes count more; or none.
    after
        captured, eliminate, fold, fuse_elementwise, choose_tiles, fuse_updates or reuse_buffers (default).
    llvm
        The LLVM IR instead.
    asm
        The assembly instead.
    level
        avx512, avx2, sse or neon: this machine's by default.
    """
    if (after is not None) + llvm + asm > 1:
        raise ArgumentError(
            Sentence("--after, --llvm and --asm each ask for another stage"), do=Sentence("give one of them")
        )
    from hotloop.compiler.target import host_target, named_target

    processor = host_target() if level is None else named_target(level)
    chosen = override(
        find_recipe(recipe, table),
        hidden=widths(hidden),
        activation=activation,
        optimizer=optimizer,
        weight_decay=weight_decay,
        balanced=None if class_weight is None else class_weight == "balanced",
    )
    program, rows = _program(_task(table, with_optional(chosen, batch_size, None), target), processor)
    print(_code(program, rows, processor, asm) if llvm or asm else _stage(program, rows, processor, after), end="")


def _task(table: str, recipe: Recipe, target: str | None) -> LayersTask:
    from hotloop import tables
    from hotloop.training.train_table import prepare_table_training

    return prepare_table_training(tables.read(table), recipe, target=target).layers_task()


def _program(task: LayersTask, target: Target) -> tuple[Program, RowsShape]:
    """Return the program of a task, and what is known of its rows."""
    from hotloop.engines.native_layers import batching_of, program_of

    program, _ = program_of(task)
    return program, batching_of(task).shape(len(task.training), target.lanes(program.element))


def _stage(program: Program, rows: RowsShape, target: Target, after: str | None) -> str:
    """Return what the last pass of that name makes of the program."""
    from hotloop.compiler.pipeline import passes

    stages = dict(passes(program, rows, target))
    if after is None:
        return str(list(stages.values())[-1])
    if after not in stages:
        raise ArgumentError(
            Sentence("no pass is called {name!r}.{near}", name=after, near=nearest(after, stages)),
            do=Sentence("use one of {listed}", listed=", ".join(stages)),
        )
    return str(stages[after])


def _code(program: Program, rows: RowsShape, target: Target, asm: bool) -> str:
    """Return the LLVM IR as it is written, or the assembly that LLVM makes of it."""
    from hotloop.compiler.emit_run import emit_program
    from hotloop.compiler.machine_code import assembly
    from hotloop.compiler.pipeline import lower

    text = emit_program(lower(program, rows, target), target)
    return assembly(text, target) if asm else text
