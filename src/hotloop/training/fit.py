"""``hotloop.fit``: arguments in, a trained model and a :class:`Run` out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hotloop.runs.run import Run
from hotloop.training.callbacks import Moment
from hotloop.training.prepare import prepare
from hotloop.training.settings import Settings

if TYPE_CHECKING:
    import torch

__all__ = ["fit"]


def fit(
    model: torch.nn.Module,
    X: Any,
    y: Any,
    *,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    drop_last: bool = False,
    sample_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    validate_every: int = 1,
    patience: int | None = None,
    schedule: Any = None,
    clip_grad_norm: float | None = None,
    record_every: int = 1,
    device: str | torch.device = "auto",
    engine: str = "auto",
    threads: int | None = None,
    seed: int | None = None,
    progress: bool | str = "auto",
    callbacks: Sequence[Callable[[Moment], Any]] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> Run:
    """Train a model in place, and return what happened.

    Afterwards the model's parameters, and the state of optimizer and schedule, are what the ordinary loop

    ::

        for epoch in range(epochs):
            for X_batch, y_batch in batches:
                output = model(X_batch)
                batch_loss = loss(output, y_batch)
                optimizer.zero_grad(); batch_loss.backward(); optimizer.step()
            schedule.step()

    would have left, on the device where they were.

    Parameters
    ----------
    model : torch.nn.Module
        Its train or eval mode is taken as found. Hooks always run.
    X : array, tensor or frame of shape (rows, ...)
        Features; they take the dtype of the model's parameters.
    y : array, tensor, series or frame of shape (rows,) or (rows, ...)
        Class labels (int64) or numbers, of the shape that the loss takes; never broadcast.
    loss : torch loss module or function
        Called as ``loss(output, y)``; returns one number.
    optimizer : torch.optim.Optimizer
        Over the model's parameters.
    epochs : int
        Passes over the rows.
    batch_size : int, optional
        Rows of an update; all of them by default.
    shuffle : bool, optional
        Visit the rows in a new order each epoch; by default for minibatches.
    drop_last : bool
        Leave out an epoch's last batch where it is smaller.
    sample_weight : array of shape (rows,), optional
        The loss becomes ``sum(w * l) / sum(w)``; for torch's built-in losses.
    X_val, y_val : like X and y, optional
        Rows on which the loss is computed, in eval mode, every ``validate_every`` epochs and after the last.
    patience : int, optional
        Stop after so many epochs without a better validation loss; the best weights come back.
    schedule : torch LR scheduler, optional
        Stepped once per epoch. ``ReduceLROnPlateau`` is given the validation loss where there is one, in epochs
        that have one, and else the training loss.
    clip_grad_norm : float, optional
        Largest norm of all gradients together.
    record_every : int
        Keep the loss of epochs k, 2k, ... and the last.
    device : str or torch.device
        "auto", "cpu", "cuda", "cuda:1", "mps", "xpu". "auto" trains where the model is, or on an accelerator where
        a step is enough work to occupy it.
    engine : str
        "auto", "native" or "eager".
    threads : int, optional
        CPU threads. By default torch's own number, or 1 where a step is too small to be shared (below about a
        million floating point operations): waiting for a second thread costs such a step more than it saves.
    seed : int, optional
        Of row order and dropout masks; by default one draw from torch's generator, kept in ``run.seed``. Nothing is
        drawn for a full batch, without callbacks, through a float32 ``nn.Sequential`` of layers that a run can hold
        (``run.network``): there is nothing random.
    progress : bool or "auto"
        Show a bar on a terminal once training has taken a second.
    callbacks : sequence of functions
        Called with a :class:`Moment` after each epoch, or as :func:`hotloop.callback` declares.
    checkpoint : path, optional
        File in which the state is saved now and then and at the end; if it is there, training goes on from it.

    Returns
    -------
    Run
        ``losses`` holds, in full batch, the loss before each epoch's update; in minibatches the mean over its rows.

    Raises
    ------
    ArgumentError
        Before any training: arguments, shapes, dtypes or labels that do not fit, NaN or infinity in the data.
    UnsupportedError
        If the engine asked for cannot do it.
    DeviceError
        If the device asked for is not there.
    OutOfMemoryError
        If training does not fit into memory, even in slices and on the CPU.
    SavedRunError
        If the checkpoint is damaged or of another run.
    Interrupted
        On Ctrl-C; a KeyboardInterrupt that carries ``run``. The model stands at a whole step.
    """
    settings = Settings(
        loss=loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        sample_weight=sample_weight,
        X_val=X_val,
        y_val=y_val,
        validate_every=validate_every,
        patience=patience,
        schedule=schedule,
        clip_grad_norm=clip_grad_norm,
        record_every=record_every,
        device=device,
        engine=engine,
        threads=threads,
        seed=seed,
        progress=progress,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    return prepare(model, X, y, settings).run()
