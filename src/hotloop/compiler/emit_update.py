"""The optimizer as code: a vector of a group's weights at a time, changed in registers.

::

    w, g, slot = weights[at], gradients[at], slots[at]
    ...                                                  the update's operations
    weights[at], slots[at] = new

Where nothing else needs a gradient, it does not pass through memory: ``emit_reductions`` hands it over as soon as it is
summed (see ``fuse_updates``). Else one loop over the group follows at the end of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hotloop.compiler.elementwise import EMITTERS
from hotloop.compiler.function import Feature, Function, Module
from hotloop.compiler.layout import StepPlaces
from hotloop.compiler.plan import Plan
from hotloop.program.program import Update

__all__ = ["NumberedUpdate", "UpdateCode", "emit_update"]

# Vectors of weights up to which the loop is written out.
_UNROLLED_VECTORS = 8


@dataclass(frozen=True)
class NumberedUpdate:
    """An update, its number, and the place of its first slot among the slot pointers."""

    update: Update
    number: int
    first_slot: int

    @classmethod
    def all_of(cls, plan: Plan) -> Iterator[NumberedUpdate]:
        """Yield a program's updates in order."""
        first_slot = 0
        for number, update in enumerate(plan.updates):
            yield cls(update, number, first_slot)
            first_slot += len(update.slots)


class UpdateCode:
    """The code of one update within a function that has ``ptr %scalars``; pointers and scalars are loaded once.

    Parameters
    ----------
    function : Function
    numbered : NumberedUpdate
    clip : str, optional
        Register of what gradients are multiplied by, in all lanes.
    """

    def __init__(self, function: Function, numbered: NumberedUpdate, clip: str | None = None):
        lanes, update = function.lanes, numbered.update
        self._lanes, self._block = lanes, update.block
        self._pointers = {"weight": function.pointer("weights")}
        slots = function.pointer("slots") if update.slots else ""
        for place, slot in enumerate(update.slots):
            address = lanes.offset(slots, 8 * (numbered.first_slot + place))
            self._pointers[slot] = lanes.register(f"load ptr, ptr {address}")
        first = function.module.layout.scalars[numbered.number]
        self._known: dict[str, str] = {}
        for place, scalar in enumerate(update.scalars):
            address = lanes.offset("%scalars", (first + place) * lanes.size_bytes)
            self._known[scalar] = lanes.spread(lanes.load_scalar(address))
        if clip is not None:
            self._known["clip"] = clip
        for operation in self._block.operations:
            if operation.op == "constant":
                self._known[operation.name] = lanes.constant(operation["value"])

    def emit(self, gradient: str, at: Callable[[str], str], n: int) -> None:
        """Change weights and slots by a gradient.

        Parameters
        ----------
        gradient : str
            A register of as many lanes as a vector has; the first n count.
        at : callable
            Returns the place of the first of them behind a pointer to all weights, or to one of their slots.
        n : int
        """
        lanes = self._lanes
        addresses = {name: at(pointer) for name, pointer in self._pointers.items()}
        values = {**self._known, "gradient": gradient}
        values |= {name: lanes.load_first(address, n) for name, address in addresses.items()}
        for operation in self._block.operations:
            if operation.op != "constant":
                operands = [values[operand] for operand in operation.operands]
                values[operation.name] = EMITTERS[operation.op](lanes, *operands)
        for meaning, value in self._block.outputs:
            # LLVM would do the arithmetic of a single lane without a vector, and fuse other products there.
            whole = values[value] if n == lanes.width else lanes.rounded(values[value])
            lanes.store_first(whole, addresses[meaning], n)


def emit_update(
    module: Module, numbered: NumberedUpdate, places: StepPlaces, clip: str | None, name: str
) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, ptr scalars)`` and the intrinsics it declares.

    Parameters
    ----------
    module : Module
    numbered : NumberedUpdate
    places : StepPlaces
    clip : str, optional
        The step's value that gradients are multiplied by.
    name : str
    """
    function = Function(module, name, "ptr %arguments, ptr %scalars")
    lanes = function.lanes
    gradients = function.pointer("gradients")
    factor = None
    if clip is not None and numbered.update.block.inputs_of("clip"):
        address = lanes.offset(function.pointer("numbers"), places.numbers[clip] * lanes.size_bytes)
        factor = lanes.spread(lanes.load_scalar(address))
    code = UpdateCode(function, numbered, factor)

    def each(at: Feature) -> None:
        def place(pointer: str) -> str:
            return function.at(pointer, at, lanes.size_bytes)

        code.emit(lanes.load_first(place(gradients), lanes.width), place, lanes.width)

    start, stop = module.layout.groups[numbered.number]
    if stop - start <= _UNROLLED_VECTORS * lanes.width:
        for at in range(start, stop, lanes.width):
            each(Feature(at))
    else:
        with lanes.loop(start, stop, lanes.width, name="weights") as loop:
            each(Feature(0, loop.index))
    return function.text(), lanes.declared
