"""Market and tier read off product names, as NVML writes them."""

from __future__ import annotations

import pytest

from hotloop.hardware.gpu_generations import find_gpu_generation
from hotloop.hardware.gpu_tiers import find_tier, is_virtual_gpu


@pytest.mark.parametrize(
    ("name", "market", "tier"),
    [
        ("NVIDIA GeForce RTX 5090", "desktop", "flagship"),
        ("NVIDIA GeForce RTX 5090 Laptop GPU", "laptop", "flagship"),
        ("NVIDIA GeForce RTX 4090 D", "desktop", "flagship"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "desktop", "high-end"),
        ("NVIDIA GeForce RTX 3080 Ti", "desktop", "high-end"),
        ("NVIDIA GeForce RTX 2080 Ti", "desktop", "flagship"),
        ("NVIDIA GeForce RTX 2080 Super with Max-Q Design", "laptop", "high-end"),
        ("NVIDIA GeForce GTX 1660 Ti", "desktop", "mid-range"),
        ("GeForce GTX 1060 6GB", "desktop", "mid-range"),
        ("NVIDIA GeForce RTX 3050 6GB Laptop GPU", "laptop", "entry"),
        ("NVIDIA GeForce GTX 1650", "desktop", "entry"),
        ("GeForce GTX 980M", "laptop", "high-end"),
        ("GeForce GTX 780 Ti", "desktop", "flagship"),
        ("NVIDIA GeForce MX450", "laptop", "entry"),
        ("GeForce 940MX", "laptop", "entry"),
        ("GeForce GT 1030", "desktop", "entry"),
        ("NVIDIA TITAN RTX", "desktop", "flagship"),
        ("GeForce GTX TITAN X", "desktop", "flagship"),
        ("NVIDIA RTX A6000", "workstation", "flagship"),
        ("NVIDIA RTX 6000 Ada Generation", "workstation", "flagship"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "workstation", "flagship"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "workstation", "flagship"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "data centre", "flagship"),
        ("NVIDIA RTX PRO 5000 Blackwell Generation Laptop GPU", "laptop workstation", "high-end"),
        ("NVIDIA RTX A2000 12GB", "workstation", "mid-range"),
        ("NVIDIA RTX 2000 Ada Generation Laptop GPU", "laptop workstation", "mid-range"),
        ("Quadro RTX 4000", "workstation", "high-end"),
        ("Quadro P620", "workstation", "entry"),
        ("Quadro M2000M", "laptop workstation", "mid-range"),
        ("NVIDIA T1000 8GB", "workstation", "entry"),
        ("NVIDIA H200", "data centre", "flagship"),
        ("NVIDIA H100 80GB HBM3", "data centre", "flagship"),
        ("NVIDIA A100-SXM4-80GB", "data centre", "flagship"),
        ("NVIDIA A100 80GB PCIe", "data centre", "flagship"),
        ("Tesla V100-SXM2-16GB", "data centre", "flagship"),
        ("NVIDIA GH200 480GB", "data centre", "flagship"),
        ("NVIDIA L40S", "data centre", "high-end"),
        ("NVIDIA A10G", "data centre", "mid-range"),
        ("Tesla T4", "data centre", "entry"),
        ("NVIDIA A10-4Q", None, None),
        ("GRID V100-4C", None, None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None, None),
        ("NVIDIA X999", None, None),
        ("NVIDIA Graphics Device", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_name(name, market, tier):
    found = find_tier(name)
    assert (found.market, found.tier) == (market, tier)


def test_shares_of_a_gpu():
    assert is_virtual_gpu("NVIDIA A10-4Q")
    assert is_virtual_gpu("GRID V100-4C")
    assert not is_virtual_gpu("Tesla V100-SXM2-16GB")


@pytest.mark.parametrize(
    ("capability", "name", "year"),
    [
        ((3, 5), "Kepler", 2012),
        ((5, 2), "Maxwell", 2014),
        ((6, 1), "Pascal", 2016),
        ((7, 0), "Volta", 2017),
        ((7, 5), "Turing", 2018),
        ((8, 0), "Ampere", 2020),
        ((8, 9), "Ada Lovelace", 2022),
        ((9, 0), "Hopper", 2022),
        ((10, 0), "Blackwell", 2024),
        ((12, 0), "Blackwell", 2024),
    ],
)
def test_architectures(capability, name, year):
    found = find_gpu_generation(capability)
    assert found is not None
    assert (found.name, found.year) == (name, year)


def test_an_architecture_of_tomorrow_is_unknown():
    assert find_gpu_generation((14, 0)) is None
    assert find_gpu_generation(None) is None
