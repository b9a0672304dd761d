"""From a GPU's reading to its description."""

from __future__ import annotations

from hotloop.hardware.description import Gpu
from hotloop.hardware.gpu_generations import GpuGeneration, find_gpu_generation
from hotloop.hardware.gpu_tiers import Tier, find_tier, is_virtual_gpu
from hotloop.hardware.reading import GpuReading
from hotloop.sentence import Sentence

__all__ = ["identify_gpu"]

_VENDORS = {"cuda": "NVIDIA", "rocm": "AMD", "mps": "Apple", "xpu": "Intel"}


def identify_gpu(reading: GpuReading) -> Gpu:
    """Describe the GPU of a reading; tier and architecture are known for NVIDIA's alone."""
    nvidia = reading.kind == "cuda"
    generation = find_gpu_generation(reading.compute_capability) if nvidia else None
    place = find_tier(reading.name) if nvidia else Tier()
    capability = reading.compute_capability if nvidia else None
    return Gpu(
        index=reading.index,
        kind=reading.kind,
        name=reading.name,
        vendor=_VENDORS.get(reading.kind),
        market=place.market,
        tier=place.tier,
        architecture=generation.name if generation else None,
        compute_capability=f"{capability[0]}.{capability[1]}" if capability else None,
        year=generation.year if generation else None,
        multiprocessors=_multiprocessors(reading, generation),
        total_bytes=reading.total_bytes,
        free_bytes=reading.free_bytes,
        driver_version=reading.driver_version,
        cuda_version=reading.cuda_version,
        notes=_notes(reading),
    )


def _multiprocessors(reading: GpuReading, generation: GpuGeneration | None) -> int | None:
    """NVML counts cores only: divide by those of a multiprocessor, where that comes out even."""
    if reading.multiprocessors is not None:
        return reading.multiprocessors
    if not reading.cuda_cores or generation is None or is_virtual_gpu(reading.name):
        return None
    count, rest = divmod(reading.cuda_cores, generation.cores_per_multiprocessor)
    return count if rest == 0 else None


def _notes(reading: GpuReading) -> tuple[str, ...]:
    notes = []
    if is_virtual_gpu(reading.name):
        notes.append(Sentence("a virtual GPU: a share of the real one, so tier and multiprocessors are unknown"))
    if reading.mig:
        notes.append(Sentence("split into MIG instances: a program gets a part of the figures above"))
    if reading.kind == "mps":
        notes.append(Sentence("shares the main memory"))
    return tuple(notes)
