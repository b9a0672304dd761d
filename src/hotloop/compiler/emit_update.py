"""The optimizer as code: one loop over a group's weights, each vector of them changed in registers.

::

    for each 16 weights:
      w, g, slot = weights[at], gradients[at], slots[at]
      ...                                                the update's operations
      weights[at], slots[at] = new
"""

from __future__ import annotations

from hotloop.compiler.elementwise import EMITTERS
from hotloop.compiler.function import Feature, Function, Module
from hotloop.compiler.layout import StepPlaces
from hotloop.program.program import Update

__all__ = ["emit_update"]

# Vectors of weights up to which the loop is written out.
_UNROLLED_VECTORS = 8


def emit_update(
    module: Module, update: Update, number: int, first_slot: int, places: StepPlaces, clip: str | None, name: str
) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, ptr scalars)`` and the intrinsics it declares.

    Parameters
    ----------
    module : Module
    update : Update
    number : int
        Of the update.
    first_slot : int
        Its first slot's place among the slot pointers.
    places : StepPlaces
    clip : str, optional
        The step's value that gradients are multiplied by.
    name : str
    """
    function = Function(module, name, "ptr %arguments, ptr %scalars")
    lanes, block = function.lanes, update.block
    size = lanes.size_bytes
    pointers = {"weight": function.pointer("weights"), "gradient": function.pointer("gradients")}
    slots = function.pointer("slots") if update.slots else ""
    for place, slot in enumerate(update.slots):
        pointers[slot] = lanes.register(f"load ptr, ptr {lanes.offset(slots, 8 * (first_slot + place))}")
    known: dict[str, str] = {}
    for place, scalar in enumerate(update.scalars):
        address = lanes.offset("%scalars", (module.layout.scalars[number] + place) * size)
        known[scalar] = lanes.spread(lanes.load_scalar(address))
    if clip is not None and block.inputs_of("clip"):
        address = lanes.offset(function.pointer("numbers"), places.numbers[clip] * size)
        known["clip"] = lanes.spread(lanes.load_scalar(address))
    for operation in block.operations:
        if operation.op == "constant":
            known[operation.name] = lanes.constant(operation["value"])

    def each(at: Feature) -> None:
        values = dict(known)
        for item in block.inputs:
            if item.role in ("weight", "gradient", "slot"):
                values[item.name] = lanes.load(function.at(pointers[item.name], at, size))
        for operation in block.operations:
            if operation.op != "constant":
                operands = [values[operand] for operand in operation.operands]
                values[operation.name] = EMITTERS[operation.op](lanes, *operands)
        for meaning, value in block.outputs:
            lanes.store(values[value], function.at(pointers[meaning], at, size))

    start, stop = module.layout.groups[number]
    if stop - start <= _UNROLLED_VECTORS * lanes.width:
        for place in range(start, stop, lanes.width):
            each(Feature(place))
    else:
        with lanes.loop(start, stop, lanes.width, name="weights") as loop:
            each(Feature(0, loop.index))
    return function.text(), lanes.declared
