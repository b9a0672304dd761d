"""A saved run, read again: everything is checked before it is used, and nothing is executed.

The order is: ``run.json``, then the files it vouches for, then what they say about each other. Whatever is
missing, damaged, newer than this hotloop or does not fit raises SavedRunError in one sentence.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hotloop.errors import ArgumentError, SavedRunError, nearest
from hotloop.files import SEALED_LIMIT_BYTES, as_path, unseal
from hotloop.program.network import Network
from hotloop.runs.predictor import LayersModel, ModuleModel, Predictor
from hotloop.runs.save import FORMAT
from hotloop.runs.weights import decode_arrays, decode_tensors, differences_of
from hotloop.sentence import Sentence, clauses

if TYPE_CHECKING:
    import torch

    from hotloop.tables import Schema

__all__ = ["load"]

FILES = ("run.json", "network.json", "weights.safetensors")

_ANOTHER = Sentence("Restore it from a copy, or train again.")

Value = TypeVar("Value")


def load(path: str | os.PathLike[str], *, into: torch.nn.Module | None = None) -> Predictor:
    """Read a saved run and return what predicts with it.

    Parameters
    ----------
    path : path
        The directory that ``run.save`` returned.
    into : torch.nn.Module, optional
        A module of the same make, which receives the weights. Needed where the network was a module of one's
        own: its code is not saved.

    Returns
    -------
    Predictor

    Raises
    ------
    SavedRunError
        ``path`` is no run, a file of it is missing or damaged, or ``into`` does not fit.
    ArgumentError
        ``path`` is no path, or ``into`` no module.
    """
    directory = as_path(path)
    _check_is_run(directory)
    run = _document(directory, "run.json", _read(directory, "run.json", SEALED_LIMIT_BYTES))
    digest = _field(_field(run, "files", dict, "run.json"), "network.json", str, "run.json")
    network_json = _read(directory, "network.json", SEALED_LIMIT_BYTES, digest)
    description = _document(directory, "network.json", network_json)
    weights = _weights(directory, description)
    network = _network(description)
    if into is not None:
        _fill(into, weights, directory)
        model: LayersModel | ModuleModel = ModuleModel(into)
    elif network is not None:
        model = _layers_model(network, weights)
    else:
        raise SavedRunError(
            Sentence(
                "'{directory}' holds the weights of {module}, not its code",
                directory=directory,
                module=description.get("module") or "a module",
            ),
            do=Sentence("Build the module and call hotloop.load({path!r}, into=model).", path=os.fspath(path)),
        )
    schema = _schema(description)
    task = _field(description, "task", str, "network.json")
    _check_agreement(task, schema, network)
    return Predictor(network=network, schema=schema, run=run, task=task, model=model)


def _check_is_run(directory: Path) -> None:
    try:
        names = set(os.listdir(directory))  # noqa: PTH208, one name per entry is all that is needed
    except NotADirectoryError:
        raise SavedRunError(
            Sentence("'{directory}' is a file", directory=directory), do=Sentence("Give the run's directory.")
        ) from None
    except (FileNotFoundError, ValueError):
        raise SavedRunError(
            Sentence("there is no run '{directory}'.{near}", directory=directory, near=_near(directory))
        ) from None
    except OSError as error:
        raise SavedRunError(Sentence("cannot read '{directory}'", directory=directory), why=error.strerror) from None
    missing = [name for name in FILES if name not in names]
    if len(missing) == len(FILES):
        raise SavedRunError(
            Sentence("'{directory}' is not a saved run", directory=directory),
            why=Sentence("it holds no {missing}", missing=missing[0]),
        )
    if missing:
        raise SavedRunError(
            Sentence("the run '{directory}' is not complete", directory=directory),
            why=Sentence("{listed} is missing", listed=" and ".join(missing)),
        )


def _near(directory: Path) -> str:
    try:
        return nearest(directory.name, os.listdir(directory.parent))  # noqa: PTH208
    except (OSError, ValueError):
        return ""


def _read(directory: Path, name: str, limit_bytes: int, sha256: str | None = None) -> bytes:
    """Return a regular file's bytes, once its size and (where known) its checksum are seen to be right."""
    path = directory / name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit_bytes:
            raise _damaged(path, Sentence("it is no file of the size that was written"))
        data = path.read_bytes()
    except SavedRunError:
        raise
    except OSError as error:
        raise SavedRunError(Sentence("cannot read '{path}'", path=path), why=error.strerror) from None
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise _damaged(path, Sentence("its contents do not match their checksum"))
    return data


def _document(directory: Path, name: str, data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = unseal(data, str(directory / name), _ANOTHER)
    version = _field(document, "format", int, name)
    if version != FORMAT:
        raise SavedRunError(
            Sentence(
                "'{directory}' has format {version}, this hotloop reads format {known}",
                directory=directory / name,
                version=version,
                known=FORMAT,
            ),
            do=Sentence("Install a newer hotloop.") if version > FORMAT else None,
        )
    return document


def _weights(directory: Path, description: Mapping[str, Any]) -> bytes:
    entry = _field(description, "weights", dict, "network.json")
    size_bytes = _field(entry, "size_bytes", int, "network.json")
    return _read(directory, "weights.safetensors", size_bytes, _field(entry, "sha256", str, "network.json"))


def _network(description: Mapping[str, Any]) -> Network | None:
    kind = _field(description, "kind", str, "network.json")
    if kind not in ("layers", "module"):
        raise SavedRunError(
            Sentence("network.json makes no sense"), why=Sentence("it describes a network of kind {kind!r}", kind=kind)
        )
    return Network.from_json(description.get("layers")) if kind == "layers" else None


def _schema(description: Mapping[str, Any]) -> Schema | None:
    if (document := description.get("schema")) is None:
        return None
    from hotloop.tables import Schema

    return Schema.from_json(document)


def _check_agreement(task: str, schema: Schema | None, network: Network | None) -> None:
    """Refuse a table, a network and a task that were never trained together."""
    agreed = task in ("classification", "regression")
    if schema is not None:
        agreed &= task == schema.task
    if schema is not None and network is not None:
        agreed &= (schema.n_features, schema.n_outputs) == (network.n_inputs, network.n_outputs)
    if not agreed:
        raise SavedRunError(
            Sentence("network.json makes no sense"), why=Sentence("its table, its network and its task do not fit")
        )


def _layers_model(network: Network, data: bytes) -> LayersModel:
    arrays = decode_arrays(data)
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != network.parameter_shapes or any(array.dtype.kind != "f" for array in arrays.values()):
        raise SavedRunError(
            Sentence("the saved weights are not those of the saved network"), do=Sentence("Train again.")
        )
    return LayersModel(network, arrays)


def _fill(module: torch.nn.Module, data: bytes, directory: Path) -> None:
    """Copy the weights into ``module``, or say in one error all that differs."""
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ArgumentError(
            Sentence("into must be a torch.nn.Module, not {module!r}", module=module),
            do=Sentence("Build the module before loading."),
        )
    saved = decode_tensors(data)
    own = module.state_dict()
    if differences := differences_of(saved, own):
        raise SavedRunError(
            Sentence("the module does not fit the run '{directory}'", directory=directory),
            why=clauses(*differences),
            do=Sentence("Build it as it was for training."),
        )
    module.load_state_dict(saved)


def _field(document: Mapping[str, Any], key: str, kind: type[Value], what: str) -> Value:
    value = document.get(key)
    if type(value) is not kind:
        raise SavedRunError(
            Sentence("{what} makes no sense", what=what),
            why=Sentence("'{key}' is missing or of the wrong kind", key=key),
        )
    return value


def _damaged(path: Path, why: str) -> SavedRunError:
    return SavedRunError(Sentence("'{path}' is damaged", path=path), why=why, do=_ANOTHER)
