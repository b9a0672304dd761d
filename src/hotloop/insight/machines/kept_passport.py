"""The passport of this machine, kept between runs; and those of the machines met so far, which ship with hotloop."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import time
from importlib import resources
from pathlib import Path

from hotloop.compiler.cache_folder import cache_directory
from hotloop.errors import OutputError, SavedRunError
from hotloop.insight.machines.passport import Passport, load_passport, save_passport

__all__ = ["kept_passport", "passport_here", "passport_path", "shipped_passports"]

_DAYS_KEPT = 90
# Figures of a machine that was busy are measured anew once it is calm, but not at each command of a restless hour.
_MINUTES_KEPT_IF_NOTED = 10


def passport_here(device: str = "cpu") -> Passport:
    """Return the passport of this machine: the one kept, or one measured now, and kept.

    Parameters
    ----------
    device : str
        "cpu" or "cuda".

    Raises
    ------
    DeviceError
        If there is no such device.
    """
    found = kept_passport(device)
    if found is not None:
        return found
    from hotloop.insight.machines.measure_passport import measure_passport

    passport = measure_passport(device)
    path = passport_path(device)
    if path is not None:
        # What cannot be kept is measured again.
        with contextlib.suppress(OutputError):
            save_passport(passport, path)
    return passport


def kept_passport(device: str = "cpu") -> Passport | None:
    """Return the passport of this machine and these versions that was kept; None where none can be trusted."""
    path = passport_path(device)
    if path is None:
        return None
    try:
        passport, age_s = load_passport(path), time.time() - path.stat().st_mtime
    except (SavedRunError, OSError):
        return None
    return passport if _is_trusted(passport, device, age_s) else None


def passport_path(device: str) -> Path | None:
    """Return the file in which this machine's passport is kept; None where nothing can be kept safely."""
    directory = cache_directory()
    return None if directory is None else directory / f"passport-{device}-{_key()[:32]}.json"


def shipped_passports() -> tuple[Passport, ...]:
    """Return the passports that ship with hotloop: measured on the machines met so far, on the days they say."""
    folder = resources.files("hotloop.insight.machines") / "met"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    passports = []
    for file in files:
        with resources.as_file(file) as path:
            passports.append(load_passport(path))
    return tuple(passports)


def _is_trusted(passport: Passport, device: str, age_s: float) -> bool:
    from hotloop.insight.machines.measure_passport import facts_here, is_busy, versions

    same_versions = all(passport.versions.get(name) == version for name, version in versions().items())
    if passport.device != device or passport.machine != facts_here() or not same_versions:
        return False
    try:
        measured_on = datetime.date.fromisoformat(passport.measured_on)
    except ValueError:
        return False
    age_days = (datetime.datetime.now(datetime.UTC).date() - measured_on).days
    if not 0 <= age_days <= _DAYS_KEPT:
        return False
    # Where the machine is still as busy, measuring again gives nothing better.
    return not passport.notes or age_s < 60 * _MINUTES_KEPT_IF_NOTED or is_busy()


def _key() -> str:
    """Return a digest of machine and versions: figures of others are in other files."""
    from hotloop.insight.machines.measure_passport import facts_here, versions

    return hashlib.sha256(json.dumps([facts_here(), versions()], sort_keys=True).encode()).hexdigest()
