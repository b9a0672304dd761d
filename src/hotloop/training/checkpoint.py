"""A run's state in one file, from which it goes on as if it had never stopped.

The file is a line with the format, a line with the SHA-256 of the rest, and a safetensors block whose header carries
the state as JSON, with each tensor named where it stood. Nothing in it is executable, and every damaged byte is found.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hotloop.errors import SavedRunError, UnsupportedError
from hotloop.files import check_writable, write_atomically
from hotloop.files.atomic import refusals
from hotloop.sentence import Sentence

__all__ = ["Checkpoint", "saved_seed"]

_FORMAT = b"hotloop checkpoint 1\n"
_INTERVAL_S = 10.0
_DIGEST_LENGTH = 64


class Checkpoint:
    """The checkpoint of one run.

    Parameters
    ----------
    path : path
        The file; its folder is made when the first state is saved.
    fingerprint : str
    seed : int
        The run's own; kept in the file, since a run without a given seed must go on with the one it drew.

    Raises
    ------
    OutputError
        If the file cannot be written there.
    """

    def __init__(self, path: str | Path, fingerprint: str, seed: int):
        self._path, self._fingerprint, self._seed = Path(path), fingerprint, seed
        check_writable(self._path.parent)
        self._written_s = time.perf_counter()

    def is_due(self) -> bool:
        """Whether the last writing is long enough ago."""
        return time.perf_counter() - self._written_s >= _INTERVAL_S

    def check(self, state: dict[str, Any]) -> None:
        """Raise UnsupportedError if the state holds what a checkpoint cannot."""
        _to_json(state, {})

    def write(self, state: dict[str, Any]) -> None:
        """Save a state; the former file stays until the new one is whole.

        Raises
        ------
        OutputError
            It cannot be written now.
        """
        # Whether or not it can be written: on a full disk the next attempt is due as late as any.
        self._written_s = time.perf_counter()
        with refusals(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, _encode({"fingerprint": self._fingerprint, "seed": self._seed, "state": state}))

    def read(self) -> dict[str, Any] | None:
        """Return the state saved, or None if there is no file.

        Raises
        ------
        SavedRunError
            If the file is damaged, or of another run.
        """
        content = _read(self._path)
        if content is None:
            return None
        if content["fingerprint"] != self._fingerprint:
            raise SavedRunError(
                Sentence("the checkpoint '{path}' is of another run", path=self._path),
                why=Sentence("data, network or settings are not those it was made with"),
                do=Sentence("give the same arguments to go on, or another checkpoint path to start anew"),
            )
        state: dict[str, Any] = content["state"]
        return state


def saved_seed(path: str | Path) -> int | None:
    """Return the seed of the run that a checkpoint belongs to, or None if there is no file."""
    content = _read(Path(path))
    return None if content is None else content["seed"]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SavedRunError(Sentence("the checkpoint '{path}' cannot be read", path=path), why=error.strerror) from None
    return _decode(data, path)


def _encode(content: dict[str, Any]) -> bytes:
    tensors: dict[str, Any] = {}
    document = json.dumps(_to_json(content, tensors))
    block = _save(tensors, {"hotloop": document})
    return _FORMAT + hashlib.sha256(block).hexdigest().encode() + b"\n" + block


def _decode(data: bytes, path: Path) -> dict[str, Any]:
    start = len(_FORMAT) + _DIGEST_LENGTH + 1
    block = data[start:]
    expected = _FORMAT + hashlib.sha256(block).hexdigest().encode() + b"\n"
    if data[:start] != expected:
        raise SavedRunError(
            Sentence("the checkpoint '{path}' is damaged, or no checkpoint of this version", path=path),
            do=Sentence("remove it to start anew"),
        )
    # safetensors: eight bytes with the header's length, then the header as JSON.
    header = json.loads(block[8 : 8 + int.from_bytes(block[:8], "little")])
    document = header["__metadata__"]["hotloop"]
    # A tensor's dtype may be one that NumPy lacks.
    content: dict[str, Any] = _from_json(json.loads(document), _load(block, with_torch='"$tensor"' in document))
    return content


def _save(values: dict[str, Any], metadata: dict[str, str]) -> bytes:
    """Return arrays and tensors as a safetensors block; imports torch only if there are tensors."""
    import safetensors.numpy

    if all(isinstance(value, np.ndarray) for value in values.values()):
        return safetensors.numpy.save(values, metadata)
    import safetensors.torch
    import torch

    tensors = {n: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for n, v in values.items()}
    return safetensors.torch.save(tensors, metadata)


def _load(block: bytes, *, with_torch: bool) -> dict[str, Any]:
    if with_torch:
        import safetensors.torch

        return safetensors.torch.load(block)
    import safetensors.numpy

    return safetensors.numpy.load(block)


def _to_json(value: Any, tensors: dict[str, Any]) -> Any:
    """Return the value as JSON can hold it, with tensors put aside; what JSON lacks is marked by a key with $."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        name = f"t{len(tensors)}"
        tensors[name] = np.array(value, order="C")
        return {"$array": name}
    if hasattr(value, "detach"):
        name = f"t{len(tensors)}"
        # A copy, since tensors that share memory cannot be written.
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"$tensor": name}
    if isinstance(value, tuple):
        return {"$tuple": [_to_json(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_to_json(item, tensors) for item in value]
    if isinstance(value, dict):
        kind = "$counter" if isinstance(value, Counter) else "$dict"
        return {kind: [[_to_json(key, tensors), _to_json(item, tensors)] for key, item in value.items()]}
    raise UnsupportedError(
        f"a checkpoint cannot hold a {type(value).__name__}",
        why="checkpoints are numbers and text, nothing executable",
        do="train without checkpoint=, or with another optimizer or schedule",
    )


def _from_json(value: Any, tensors: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_from_json(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "$tensor":
        return tensors[content]
    if kind == "$array":
        array = tensors[content]
        return array if isinstance(array, np.ndarray) else array.numpy()
    if kind == "$float":
        return float(content)
    if kind == "$tuple":
        return tuple(_from_json(item, tensors) for item in content)
    items = {_from_json(key, tensors): _from_json(item, tensors) for key, item in content}
    return Counter(items) if kind == "$counter" else items
