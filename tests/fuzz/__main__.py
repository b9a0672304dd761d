"""Many random training tasks, in two processes: ``make fuzz``, or ``python tests/fuzz [--programs N] [--seed N]``.

Programs come in blocks of 50, each with its own seed and process. Where one fails, hypothesis makes it as small as it
can, and the block's seed is printed: ``python tests/fuzz --seed N`` runs that block again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

_BLOCK = 50
_PROCESSES = 2


def main() -> int:
    """Run the blocks, telling how it goes; return 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first block")
    parser.add_argument("--seed", type=int, help="run this block alone")
    given = parser.parse_args()
    if given.seed is not None:
        run_block(given.seed)
        return 0
    seeds = range(given.first, given.first + -(-given.programs // _BLOCK))
    n_programs, failed, started_s = 0, [], time.monotonic()
    with ThreadPoolExecutor(_PROCESSES) as pool:
        running = {pool.submit(_run_process, seed): seed for seed in seeds}
        for done in as_completed(running):
            code, output = done.result()
            n_programs += _BLOCK
            if code:
                failed.append(running[done])
                print(f"\nseed {running[done]} ended with code {code}:\n{output}", flush=True)
            minutes = (time.monotonic() - started_s) / 60
            print(f"{n_programs} programs, {len(failed)} blocks with a mismatch, {minutes:.1f} min", flush=True)
    if failed:
        print("\n".join(f"again: python tests/fuzz --seed {seed}" for seed in sorted(failed)))
    return 1 if failed else 0


def run_block(seed: int) -> None:
    """Run one block's programs; raise what the smallest of those that fail raises."""
    import hypothesis
    from compare import check, levels_here
    from programs import cases

    warnings.simplefilter("error")

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_BLOCK,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases(levels=levels_here()))
    def block(case):
        check(case)

    block()


def _run_process(seed: int) -> tuple[int, str]:
    """Run a block in a process of its own, so that a crash of compiled code says which block it was."""
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).parent), "--seed", str(seed)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HOTLOOP_NO_CACHE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return ended.returncode, ended.stdout[-4000:]


if __name__ == "__main__":
    sys.exit(main())
