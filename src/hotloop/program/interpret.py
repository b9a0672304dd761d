"""A NumPy interpreter: the meaning of every program, and what compiled code is checked against.

Slow and simple. Floating point is that of the program's element; sums are NumPy's, in another order than compiled code
takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.program.ops import OPS
from hotloop.program.program import Block, Program
from hotloop.program.types import ROWS, Type

__all__ = ["interpret_block", "interpret_step", "interpret_values"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]

_DTYPES = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "bool": np.bool_}


def interpret_block(block: Block, inputs: Arrays) -> dict[str, Array]:
    """Return the outputs of a block by meaning."""
    values = interpret_values(block, inputs)
    return {meaning: values[value] for meaning, value in block.outputs}


def interpret_values(block: Block, inputs: Arrays) -> dict[str, Array]:
    """Return every value of a block by name.

    Parameters
    ----------
    block : Block
    inputs : mapping of arrays
        For each input an array with its type's axes in order.
    """
    values: dict[str, Array] = {
        item.name: np.asarray(inputs[item.name], _DTYPES[item.type.element]) for item in block.inputs
    }
    n_rows = next((len(values[item.name]) for item in block.inputs if item.type.has_rows), 0)
    for operation in block.operations:
        op = OPS[operation.op]
        types = [block.types[name] for name in operation.operands]
        operands = [values[name] for name in operation.operands]
        with np.errstate(all="ignore"):
            if op.kind == "elementwise":
                spread = [_spread(array, type_, operation.type) for array, type_ in zip(operands, types, strict=True)]
                result = op.meaning(*spread)
            else:
                result = op.meaning(operands, types, dict(operation.attributes), operation.type, n_rows)
        values[operation.name] = _filled(np.asarray(result, _DTYPES[operation.type.element]), operation.type, n_rows)
    return values


def interpret_step(
    program: Program, data: Arrays, weights: dict[str, Array], slots: list[dict[str, Array]], scalars: list[Arrays]
) -> float:
    """Do one training step in place and return the loss before it.

    Parameters
    ----------
    program : Program
    data : mapping of arrays
        The batch, and whatever is fixed.
    weights : dict of arrays
        Replaced by the new ones.
    slots : list of dict of arrays
        For each update the slots by name, each an array over all of its weights, end to end; replaced.
    scalars : list of mapping
        For each update its scalars.
    """
    outputs = interpret_block(program.step, {**data, **weights})
    for update, of_update, numbers in zip(program.updates, slots, scalars, strict=True):
        flat = np.concatenate([weights[name].reshape(-1) for name in update.weights])
        gradient = np.concatenate([outputs[f"gradient of {name}"].reshape(-1) for name in update.weights])
        given = {
            "weight": flat,
            "gradient": gradient,
            "clip": outputs.get("clip", np.zeros(())),
            **of_update,
            **numbers,
        }
        new = interpret_block(update.block, given)
        place = 0
        for name in update.weights:
            size = weights[name].size
            weights[name] = new["weight"][place : place + size].reshape(weights[name].shape)
            place += size
        of_update.update({slot: new[slot] for slot in update.slots})
    return float(outputs["loss"])


def _spread(array: Array, type_: Type, result: Type) -> Array:
    """Order the axes like the result's and put in those that are missing, of length 1."""
    names = [axis.name for axis in type_.axes]
    sizes = dict(zip(names, array.shape, strict=True))
    array = array.transpose([names.index(axis.name) for axis in result.axes if axis.name in names])
    return array.reshape([sizes.get(axis.name, 1) for axis in result.axes])


def _filled(array: Array, type_: Type, n_rows: int) -> Array:
    """Repeat along axes that no operand had."""
    shape = tuple(n_rows if axis == ROWS else axis.size or 0 for axis in type_.axes)
    return np.broadcast_to(array, shape)
