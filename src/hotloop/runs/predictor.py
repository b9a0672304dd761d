"""A trained network that answers: raw columns or features in, classes or numbers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import TableError
from hotloop.program.network import Linear, Network
from hotloop.runs.prediction import Prediction, of_classes, of_numbers
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    import torch

    from hotloop.tables import Schema

__all__ = ["LayersModel", "ModuleModel", "Predictor"]

FloatArray = NDArray[Any]

_SLICE_NUMBERS = 2**22  # numbers that the widest layer holds at once: 16 MiB of float32


@dataclass(frozen=True, repr=False)
class Predictor:
    """What ``hotloop.load`` returns.

    Parameters
    ----------
    network : Network or None
        The layers; None for a module of one's own.
    schema : Schema or None
        How raw columns become features; None where the run was trained on arrays.
    run : dict
        What ``run.json`` holds.
    task : str
        "classification" or "regression".
    model : LayersModel or ModuleModel
        What computes the outputs.
    """

    network: Network | None
    schema: Schema | None
    run: dict[str, Any]
    task: str
    model: LayersModel | ModuleModel

    def __repr__(self) -> str:
        what = self.network or self.run.get("module_name") or "module"
        trained = f"{self.run.get('epochs', '?')} epochs, loss {self.run.get('final_loss')}"
        return f"<Predictor: {what}, {self.task}, {trained}>"

    def predict(self, rows: Any) -> Prediction:
        """Answer for each row.

        Parameters
        ----------
        rows : table, frame, path or array
            Raw columns, as ``hotloop.tables.read`` takes them, where the run was trained on a table; else an
            array of shape (rows, n_features).

        Returns
        -------
        Prediction
            Classes and probabilities, or numbers.

        Raises
        ------
        TableError
            The rows do not fit what the run was trained on, or give no finite answer.
        """
        x, notes = self._features(rows)
        outputs = self.model.forward(x)
        _check_finite(outputs, "the network's answer")
        if self.task == "classification":
            names = self.schema.class_names if self.schema else None
            return of_classes(outputs, names, notes)
        numbers = outputs if outputs.ndim == 1 or outputs.shape[1] != 1 else outputs[:, 0]
        if self.schema:
            numbers = self.schema.undo_target(numbers)
        return of_numbers(numbers, notes)

    def module(self) -> torch.nn.Module:
        """Return the network as a torch module that holds the saved weights."""
        return self.model.module()

    def _features(self, rows: Any) -> tuple[FloatArray, tuple[str, ...]]:
        if self.schema:
            from hotloop import tables

            table = rows if isinstance(rows, tables.Table) else tables.read(rows)
            x, notes = self.schema.transform(table)
            return x, (*table.notes, *notes)
        try:
            x = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TableError(Sentence("the rows are no array of numbers"), why=str(error)) from None
        width = self.network.n_inputs if self.network else None
        if x.ndim == 0 or (width is not None and x.shape[1:] != (width,)):
            raise TableError(
                Sentence(
                    "the rows have shape {shape}, the network takes (rows, {width})",
                    shape=x.shape,
                    width=width or "...",
                )
            )
        _check_finite(x, "a feature")
        return x, ()


@dataclass(frozen=True)
class LayersModel:
    """A network of layers and its weights, computed in NumPy; torch is not imported."""

    network: Network
    weights: Mapping[str, FloatArray]

    def forward(self, x: FloatArray) -> FloatArray:
        """Return outputs (rows, n_outputs) for ``x`` (rows, n_inputs), in the precision of the weights."""
        dtype = np.result_type(np.float32, *self.weights.values())
        widths = [layer.n_out for layer in self.network.layers if isinstance(layer, Linear)]

        def forward(part: FloatArray) -> FloatArray:
            # What overflows is found in the outputs, and named there.
            with np.errstate(all="ignore"):
                return self.network.forward(self.weights, part.astype(dtype, copy=False))

        return _in_slices(forward, x, max([self.network.n_inputs, *widths]))

    def module(self) -> torch.nn.Module:
        """Return the layers as ``torch.nn.Sequential``."""
        from hotloop.capture import to_module

        return to_module(self.network, self.weights)


@dataclass(frozen=True)
class ModuleModel:
    """A module of one's own that has received the saved weights."""

    torch_module: torch.nn.Module

    def forward(self, x: FloatArray) -> FloatArray:
        """Return outputs for ``x``, in evaluation mode; the module's mode is restored afterwards.

        Raises
        ------
        TableError
            The module refuses rows of this shape.
        """
        import torch

        first = next(self.torch_module.parameters(), torch.zeros(()))
        training = {module: module.training for module in self.torch_module.modules()}

        def forward(part: FloatArray) -> FloatArray:
            features = torch.from_numpy(np.ascontiguousarray(part)).to(first.device, first.dtype)
            outputs: torch.Tensor = self.torch_module(features)
            double = torch.float64 if outputs.dtype is torch.float64 else torch.float32
            array: FloatArray = outputs.to("cpu", double).numpy()
            return array

        try:
            self.torch_module.eval()
            with torch.no_grad():
                return _in_slices(forward, x, int(np.prod(x.shape[1:], initial=256)))
        except RuntimeError as error:
            raise TableError(
                Sentence("the module cannot take rows of shape {shape}", shape=x.shape), why=str(error)
            ) from error
        finally:
            for module, mode in training.items():
                module.training = mode

    def module(self) -> torch.nn.Module:
        """Return the module given to ``hotloop.load``."""
        return self.torch_module


def _in_slices(forward: Callable[[FloatArray], FloatArray], x: FloatArray, width: int) -> FloatArray:
    """Apply ``forward`` to some rows at a time, so that memory is bounded whatever the number of rows."""
    n_slice = max(1, _SLICE_NUMBERS // width)
    parts = [forward(x[start : start + n_slice]) for start in range(0, max(1, len(x)), n_slice)]
    return np.concatenate(parts)


def _check_finite(values: FloatArray, what: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argwhere(~finite)[0][0])
        raise TableError(Sentence("{what} in row {row} is not a finite number", what=what, row=row + 1))
