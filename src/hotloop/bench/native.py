"""hotloop itself: ``hotloop.fit``, compiled, the loss of each epoch recorded."""

from __future__ import annotations

from dataclasses import dataclass

from hotloop.bench.contender import Trained, Training
from hotloop.bench.workloads import Workload
from hotloop.language import Sentence
from hotloop.training.fit import fit

__all__ = ["Native"]


@dataclass(frozen=True)
class Native:
    """The native engine on one thread; its row orders always come from a seed and are computed as it trains."""

    name: str = "hotloop"
    threads: int = 1
    engine: str = "native"

    @property
    def about(self) -> str:
        """What it does."""
        return Sentence('hotloop.fit with engine="native": the whole run compiled, rows gathered and ordered inside')

    def absent(self, workload: Workload) -> str | None:
        """Return None: hotloop is always there."""
        return None

    def prepare(self, workload: Workload, epochs: int, seed: int | None) -> Training:
        """Return the training; ``duration_s`` and ``prepare_s`` are the run's own."""
        X, y = workload.rows()

        def train() -> Trained:
            model = workload.network()
            run = fit(
                model,
                X,
                y,
                loss=workload.criterion(),
                optimizer=workload.optimizer_of(model),
                epochs=epochs,
                batch_size=workload.batch_size,
                device="cpu",
                engine=self.engine,
                threads=self.threads,
                seed=seed or 0,
                progress=False,
            )
            return Trained(run.duration_s, run.prepare_s, run.losses)

        return train
