"""Weights to safetensors and back: named arrays, nothing executable.

NumPy arrays need no torch; where tensors are among them, torch is loaded already, and takes part so that
types NumPy lacks (bfloat16) keep their bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import OutputError, SavedRunError
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    import torch

__all__ = ["decode_arrays", "decode_tensors", "describe", "differences_of", "encode"]

_DTYPES: Mapping[str, type[Any]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def encode(weights: Mapping[str, Any]) -> bytes:
    """Return ``weights`` (NumPy arrays or tensors, by name) in the safetensors format.

    Raises
    ------
    OutputError
        A value is no plain array: nothing else is saved, for nothing else is safe to load.
    """
    import safetensors

    arrays = {name: value for name, value in weights.items() if isinstance(value, np.ndarray)}
    try:
        if len(arrays) == len(weights):
            from safetensors.numpy import save as save_arrays

            return save_arrays({name: np.array(value, order="C") for name, value in arrays.items()})
        from safetensors.torch import save as save_tensors

        return save_tensors({name: _own_tensor(name, value) for name, value in weights.items()})
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise OutputError("cannot save the weights", why=f"safetensors does not hold them ({error})") from error


def decode_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays in ``data`` by name; bfloat16 comes as float32, which holds it exactly.

    Raises
    ------
    SavedRunError
        ``data`` is not what ``encode`` wrote.
    """
    import safetensors

    try:
        return {name: _array(spec) for name, spec in safetensors.deserialize(data)}  # type: ignore[no-untyped-call]
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(error) from error


def decode_tensors(data: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors in ``data`` by name, each with its own dtype.

    Raises
    ------
    SavedRunError
        ``data`` is not what ``encode`` wrote.
    """
    import safetensors
    from safetensors.torch import load

    try:
        tensors: dict[str, torch.Tensor] = load(data)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _unreadable(error) from error
    return tensors


def describe(weights: Mapping[str, Any]) -> dict[str, object]:
    """Return shape and dtype of each weight, as ``network.json`` lists them."""
    return {
        name: {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        for name, value in weights.items()
    }


def differences_of(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Return how a module's weights differ from those of a run in names, shapes and dtypes, a clause each, sorted."""
    found: list[str] = [Sentence("'{name}' is not in the module", name=name) for name in saved if name not in own]
    found += [Sentence("'{name}' is not in the run", name=name) for name in own if name not in saved]
    for name in saved.keys() & own.keys():
        was, now = _kind(saved[name]), _kind(own[name])
        if was != now:
            found.append(Sentence("'{name}' is {was} in the run and {now} in the module", name=name, was=was, now=now))
    return sorted(found)


def _kind(tensor: Any) -> str:
    """Shape and dtype in words; a state dict may hold other objects than tensors."""
    shape, dtype = getattr(tensor, "shape", None), getattr(tensor, "dtype", None)
    return f"{tuple(shape)} {str(dtype).removeprefix('torch.')}" if shape is not None else type(tensor).__name__


def _own_tensor(name: str, value: Any) -> torch.Tensor:
    """Copy a tensor: safetensors refuses memory that two names share, or that has gaps."""
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, order="C"))
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"'{name}' is a {type(value).__name__}")
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _array(spec: Mapping[str, Any]) -> NDArray[Any]:
    if spec["dtype"] == "BF16":  # the upper half of a float32
        bits = np.frombuffer(spec["data"], "<u2").astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32).reshape(spec["shape"])
    dtype = np.dtype(_DTYPES[spec["dtype"]]).newbyteorder("<")
    return np.frombuffer(spec["data"], dtype).reshape(spec["shape"])


def _unreadable(error: Exception) -> SavedRunError:
    return SavedRunError("the saved weights cannot be read", why=str(error), do="Restore them from a copy.")
