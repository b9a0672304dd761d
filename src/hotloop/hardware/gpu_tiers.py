"""Where a GPU stands in its own generation: market and tier, read off NVIDIA's product name.

The tier compares a part with its siblings, not with other years: a flagship of 2013 is slower than an entry
card of 2022. A name that no rule knows has no tier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hotloop.sentence import Sentence

__all__ = ["Tier", "find_tier", "is_virtual_gpu"]

ENTRY, MID, HIGH, FLAGSHIP = Sentence("entry"), Sentence("mid-range"), Sentence("high-end"), Sentence("flagship")
DESKTOP, LAPTOP, DATA_CENTRE = Sentence("desktop"), Sentence("laptop"), Sentence("data centre")
WORKSTATION, LAPTOP_WORKSTATION = Sentence("workstation"), Sentence("laptop workstation")


@dataclass(frozen=True)
class Tier:
    """The market a GPU was made for, and its place there; None where the name does not tell."""

    market: str | None = None
    tier: str | None = None


# Data centre parts, whose names carry no scale: the place NVIDIA gave each in its generation.
_DATA_CENTRE = {
    "K80": FLAGSHIP,
    "P4": ENTRY,
    "P40": HIGH,
    "P100": FLAGSHIP,
    "V100": FLAGSHIP,
    "V100S": FLAGSHIP,
    "T4": ENTRY,
    "A2": ENTRY,
    "A10": MID,
    "A10G": MID,
    "A30": MID,
    "A40": HIGH,
    "A100": FLAGSHIP,
    "A800": FLAGSHIP,
    "L4": ENTRY,
    "L40": HIGH,
    "L40S": HIGH,
    "H100": FLAGSHIP,
    "H800": FLAGSHIP,
    "H200": FLAGSHIP,
    "GH200": FLAGSHIP,
    "B200": FLAGSHIP,
    "GB200": FLAGSHIP,
    "B300": FLAGSHIP,
    "GB300": FLAGSHIP,
}

_LAPTOP = re.compile(r"Laptop GPU|Max-Q|Mobile", re.IGNORECASE)
_GEFORCE = re.compile(r"^GeForce (?:RTX|GTX) (\d{3,4})(M)?((?: ?Ti| ?SUPER| D)*)(?: \d+ ?GB)?(?: BOOST)?$", re.I)
_GEFORCE_ENTRY = re.compile(r"^GeForce (?:GT \d{3,4}|(MX\d{3}|\d{3}MX?))$", re.IGNORECASE)
_TITAN = re.compile(r"^(?:GeForce GTX )?TITAN\b", re.IGNORECASE)
_WORKSTATION = re.compile(
    r"^(?:Quadro RTX|Quadro [KMPT]?|RTX PRO |RTX A|RTX |T)\s*(\d{3,4})(M)?(?: \d+ ?GB)?"
    r"(?: Ada Generation| Blackwell(?: Generation| (Server) Edition|(?: Max-Q)? Workstation Edition)?)?$",
    re.IGNORECASE,
)
# What may follow a data centre part's name: the bus, the memory, the maker's variant.
_DATA_CENTRE_NAME = re.compile(
    r"^(?:Tesla )?([A-Z]{1,2}\d{1,3}[GS]?)(?:[ -](?:PCIE|SXM\d?|NVL|HBM\d?e?|\d+ ?GB))*$", re.I
)
_VIRTUAL = re.compile(r"^GRID |-\d+[ABCQ]$")


def is_virtual_gpu(name: str | None) -> bool:
    """Whether the name is that of a share of a GPU handed out by a hypervisor, such as ``A10-4Q``."""
    return _VIRTUAL.search(_plain(name)) is not None


def find_tier(name: str | None) -> Tier:
    """Return market and tier of an NVIDIA product name."""
    plain = _plain(name)
    if is_virtual_gpu(name):
        return Tier()
    # "Max-Q" in a Blackwell workstation edition names a desktop board of lower power, not a laptop's.
    laptop = _LAPTOP.search(plain) is not None and "Workstation Edition" not in plain
    base = re.sub(r"\s+(?:Laptop GPU|(?:with )?Max-Q(?: Design)?|Mobile)$", "", plain, flags=re.IGNORECASE)
    return _geforce(base, laptop) or _titan(base) or _workstation(base, laptop) or _data_centre(base) or Tier()


def _plain(name: str | None) -> str:
    return re.sub(r"^NVIDIA\s+", "", (name or "").strip())


def _geforce(base: str, laptop: bool) -> Tier | None:
    if entry := _GEFORCE_ENTRY.match(base):
        return Tier(LAPTOP if laptop or entry[1] else DESKTOP, ENTRY)
    match = _GEFORCE.match(base)
    if match is None:
        return None
    market = LAPTOP if laptop or match[2] else DESKTOP
    return Tier(market, _geforce_tier(int(match[1]), "ti" in match[3].lower()))


def _geforce_tier(number: int, ti: bool) -> str:
    """Read the class off the last two digits: 50, 60, 70, 80, 90."""
    grade = number % 100
    if grade < 60:
        return ENTRY
    if grade < 70:
        return MID
    # Up to 2019 the 80 Ti was the fastest GeForce of its generation; from 2020 on that is the 90.
    return FLAGSHIP if grade >= 90 or (grade >= 80 and ti and number < 3000) else HIGH


def _titan(base: str) -> Tier | None:
    return Tier(DESKTOP, FLAGSHIP) if _TITAN.match(base) else None


def _workstation(base: str, laptop: bool) -> Tier | None:
    match = _WORKSTATION.match(base)
    if match is None:
        return None
    market = LAPTOP_WORKSTATION if laptop or match[2] else WORKSTATION
    return Tier(DATA_CENTRE if match[3] else market, _workstation_tier(int(match[1])))


def _workstation_tier(number: int) -> str:
    thousands = number / 1000
    if thousands < 2:
        return ENTRY
    if thousands < 4:
        return MID
    return HIGH if thousands < 6 else FLAGSHIP


def _data_centre(base: str) -> Tier | None:
    match = _DATA_CENTRE_NAME.match(base)
    if match is None or match[1].upper() not in _DATA_CENTRE:
        return None
    return Tier(DATA_CENTRE, _DATA_CENTRE[match[1].upper()])
