"""How much memory a task takes, before it runs; and what to do when that is more than there is.

A step that is too large is done in slices of its rows: the gradients of the slices add up to the gradient of the
whole, so the mathematics stays as it is. That is refused where rows depend on each other (batch statistics) or the
loss cannot be taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotloop.capture.loss_parts import loss_name
from hotloop.engines.task import Task
from hotloop.errors import OutOfMemoryError
from hotloop.hardware import free_memory_bytes
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    import torch

__all__ = [
    "MemoryEstimate",
    "cannot_slice",
    "empty_cache",
    "estimate",
    "evaluated_at_once",
    "explained",
    "fit_into_memory",
    "is_out_of_memory",
]

# Tensors of the parameters' size that an optimizer keeps for each parameter.
_OPTIMIZER_SLOTS = {
    "SGD": 0,
    "Adagrad": 1,
    "RMSprop": 1,
    "Rprop": 2,
    "Adam": 2,
    "AdamW": 2,
    "NAdam": 2,
    "RAdam": 2,
    "Adamax": 2,
    "Adadelta": 2,
    "LBFGS": 200,
}
# Validation rows whose activations take more than this are evaluated in slices.
_EVALUATION_BYTES = 256 * 2**20
# The CPU allocator (Linux, Windows) and MPS raise a plain RuntimeError that says:
_OUT_OF_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
# A row's number in the order of an epoch.
_ORDER_BYTES = 8
# NumPy's own arrays while a dropout mask is drawn take 21 bytes a unit; the layer's input, if nobody keeps it, 4. Of
# these, 8 are counted apart: the mask and what it leaves.
_DRAWING_BYTES = 17
# Leave a tenth of what is free to allocators, libraries and the rest of the machine.
_USABLE = 0.9


@dataclass(frozen=True)
class MemoryEstimate:
    """The largest amount of memory a task holds at once, in bytes, by what it is for.

    Parameters
    ----------
    data : float
        Rows copied to the device, one batch gathered from them, and the order it is gathered in.
    weights : float
        Parameters, where they have to be copied, with gradients and the optimizer's state.
    copies : float
        Two copies to go back to after a divergence, and the best weights.
    activations : float
        What one step keeps for its backward pass, when done in one piece.
    """

    data: float
    weights: float
    copies: float
    activations: float

    def total(self, slices: int = 1) -> float:
        """Return the bytes held at once when each step is done in ``slices`` parts."""
        return self.data + self.weights + self.copies + self.activations / slices


def estimate(task: Task) -> MemoryEstimate:
    """Return how much memory a task will take beyond what is taken already.

    Notes
    -----
    A backward pass holds the saved activations, one more of the output's size that the loss keeps, and the gradients of
    two neighbouring ones at a time. On the CPU, drawing a dropout mask may take more than those gradients.
    """
    import torch

    kind = torch.device(task.device).type
    moves = kind != task.training.X.device.type
    rows = [task.training, *([task.validation] if task.validation else [])]
    data = float(sum(part.size_bytes for part in rows)) if moves else 0.0
    if task.shuffle:
        n_rows = len(task.training)
        data += task.training.size_bytes * min(task.batch_size, n_rows) / n_rows + _ORDER_BYTES * n_rows
    model = _size_bytes([*task.model.parameters(), *task.model.buffers()])
    trained = _size_bytes(p for p in task.model.parameters() if p.requires_grad)
    slots = _OPTIMIZER_SLOTS.get(type(task.optimizer).__name__, 2)
    if type(task.optimizer).__name__ in ("SGD", "RMSprop"):
        slots += any(group.get("momentum") for group in task.optimizer.param_groups)
    weights = (model if moves else 0) + trained * (1 + slots)
    copies = 2 * (model + trained * slots) + (model if task.validation else 0)
    activations = 0.0
    if task.probe is not None:
        gradients = 2 * task.probe.largest_bytes_per_row + task.probe.output_bytes_per_row
        drawing = _DRAWING_BYTES * task.probe.mask_units_per_row if kind == "cpu" else 0.0
        per_row = task.probe.saved_bytes_per_row + max(gradients, drawing)
        activations = per_row * min(task.batch_size, len(task.training))
    return MemoryEstimate(data, weights, copies, activations)


def fit_into_memory(task: Task) -> int:
    """Return the number of slices in which each step must be done for the task to fit into memory.

    Raises
    ------
    OutOfMemoryError
        If it does not fit in any number of slices.
    """
    free = free_memory_bytes(task.device)
    if free is None:
        return 1
    need, usable, slices = estimate(task), free * _USABLE, 1
    while need.total(slices) > usable:
        reason = cannot_slice(task)
        if need.total(slices=task.batch_size) > usable:
            reason = "the data and the weights alone are more than that"
        if reason:
            raise OutOfMemoryError(
                Sentence(
                    "this run needs about {need} on {device}; {free} are free",
                    need=_in_words(need.total(slices)),
                    device=task.device,
                    free=_in_words(free),
                ),
                why=reason,
                do=Sentence("use a smaller batch_size, a smaller network, fewer rows or columns, or another device"),
            )
        slices *= 2
    return min(slices, task.batch_size)


def evaluated_at_once(task: Task) -> int:
    """Return how many validation rows to evaluate at once."""
    n_rows = len(task.validation) if task.validation else 1
    if task.probe is None or cannot_slice(task, training=False):
        return n_rows
    fitting = int(_EVALUATION_BYTES / (2 * task.probe.largest_bytes_per_row + 1))
    return min(n_rows, max(1, fitting))


def cannot_slice(task: Task, training: bool = True) -> str | None:
    """Return why rows cannot be done in slices without changing the mathematics, or None if they can.

    Parameters
    ----------
    task : Task
    training : bool
        Whether it is about a training step, or about validation, in evaluation mode.
    """
    from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

    for name, module in task.model.named_modules():
        # Without running statistics, evaluation takes those of the rows as well.
        mixes_always = isinstance(module, _BatchNorm) and module.running_mean is None
        if mixes_always or (training and isinstance(module, _NormBase) and module.training):
            return f"'{name}' ({type(module).__name__}) mixes the rows of a step, so that it cannot be done in slices"
    if task.row_loss is None:
        return f"the loss '{loss_name(task.loss)}' is not one that can be done in slices"
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception means that a device, or the CPU, had no memory left."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY_WORDS)


@contextmanager
def explained(what: str, device: str) -> Iterator[None]:
    """Raise OutOfMemoryError saying ``what`` does not fit where the block runs out of memory in torch's words."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            Sentence("{what} does not fit into the memory of {device}", what=what, device=device),
            why=(str(error) or "there is no memory left").splitlines()[0],
            do=Sentence("use a smaller network, a smaller batch_size, or an optimizer that keeps less, such as SGD"),
        ) from error


def empty_cache(device: str) -> None:
    """Give memory that torch's allocator holds in reserve back to the device."""
    import torch

    kind = torch.device(device).type
    if kind != "cpu":
        getattr(torch, kind).empty_cache()


def _size_bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _in_words(size_bytes: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            return f"{size_bytes:.3g} {unit}" if size_bytes < 1000 else f"{size_bytes:,.0f} {unit}"
        size_bytes /= 1000
    raise AssertionError
