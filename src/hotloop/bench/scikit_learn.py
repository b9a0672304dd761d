"""scikit-learn: ``MLPClassifier`` and ``MLPRegressor``, where they train the same network by the same mathematics.

Two classes are one logistic output in scikit-learn, another network, so those workloads are left out. Its loss of
numbers is half of torch's mean over rows and outputs, and its gradient is not divided by the outputs: Adam's steps do
not depend on such a factor but for epsilon, which is therefore scaled with it. Rounding differs by where Adam adds
epsilon: torch adds it after the bias correction, scikit-learn before.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.bench.contender import Trained, Training, version_of
from hotloop.bench.workloads import Workload
from hotloop.language import Sentence
from hotloop.program.random import row_order

__all__ = ["ScikitLearn"]

# torch.optim.Adam's defaults.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class ScikitLearn:
    """Its estimators, no penalty on weights, never stopping early."""

    threads: int
    name: str = "scikit-learn"

    @property
    def about(self) -> str:
        """What it does."""
        return Sentence("MLPClassifier or MLPRegressor, float32, fit() from the same first weights, its own shuffling")

    def absent(self, workload: Workload) -> str | None:
        """Return what is missing, or what would make it another network or another step."""
        if version_of("scikit-learn") is None:
            return Sentence("scikit-learn is not installed: pip install 'hotloop[bench]'")
        if workload.loss == "ce" and workload.widths[-1] == 2:
            return Sentence("it makes one logistic output of two classes: another network")
        if workload.loss == "mse" and workload.optimizer != "adam":
            return Sentence("its mean squared error has other gradients, which this optimizer does not make up for")
        return None

    def prepare(self, workload: Workload, epochs: int, seed: int | None) -> Training:
        """Return the training: each fits an estimator of its own, which has been given the first weights."""
        X, y = workload.rows()
        y = y.ravel() if workload.widths[-1] == 1 else y

        def train() -> Trained:
            order: Any = 0 if seed is None else _given_orders(len(X), seed)
            with _threads(self.threads), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator = _estimator(workload, X, y)
                n_before = len(estimator.loss_curve_)
                estimator.set_params(max_iter=epochs, n_iter_no_change=epochs + 1, random_state=order)
                started_s = time.perf_counter()
                estimator.fit(X, y)
                duration_s = time.perf_counter() - started_s
            losses = np.array(estimator.loss_curve_[n_before:], dtype=np.float64)
            if len(losses) < epochs:
                # It turns Ctrl-C into a warning.
                raise KeyboardInterrupt
            return Trained(duration_s, 0.0, losses * (2 if workload.loss == "mse" else 1))

        return train


def _estimator(workload: Workload, X: NDArray[Any], y: NDArray[Any]) -> Any:
    """Return an estimator that goes on from the workload's first weights."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    is_classifier = workload.loss == "ce"
    gradient_by_torchs = 1.0 if is_classifier else workload.widths[-1] / 2
    estimator = (MLPClassifier if is_classifier else MLPRegressor)(
        hidden_layer_sizes=workload.widths[1:-1],
        activation=workload.activation or "identity",
        solver=workload.optimizer,
        alpha=0.0,
        batch_size=workload.batch_size or len(X),
        learning_rate_init=workload.lr,
        momentum=0.0,
        nesterovs_momentum=False,
        beta_1=_BETA1,
        beta_2=_BETA2,
        epsilon=_EPSILON * gradient_by_torchs,
        shuffle=workload.batch_size is not None,
        tol=0.0,
        max_iter=1,
        warm_start=True,
        random_state=0,
    )
    # The public way to weights of one's own: fit once, replace them, fit on; the optimizer then begins anew.
    estimator.fit(X, y)
    layers = workload.first_weights()
    estimator.coefs_ = [weight for weight, _bias in layers]
    estimator.intercepts_ = [bias for _weight, bias in layers]
    return estimator


def _given_orders(n_rows: int, seed: int) -> np.random.RandomState:
    """Return a generator whose shuffling puts the rows of each epoch in hotloop's order."""

    class GivenOrders(np.random.RandomState):
        """scikit-learn shuffles places that are already shuffled: this undoes the former order as well."""

        epoch, now = 0, np.arange(n_rows)

        def shuffle(self, x: Any) -> None:
            wanted = row_order(n_rows, seed, self.epoch)
            x[:] = np.argsort(self.now)[wanted]
            self.epoch, self.now = self.epoch + 1, wanted

    return GivenOrders(0)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let matrix products use so many threads inside the block."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=number):
        yield
