"""Passports: what is saved is what is read, and whatever else is read is one clear error."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from synthetic_passports import synthetic_cpu, synthetic_gpu

from hotloop.errors import SavedRunError
from hotloop.files import seal
from hotloop.insight.machines.kept_passport import shipped_passports
from hotloop.insight.machines.passport import load_passport, save_passport
from hotloop.insight.machines.passport_document import from_document, to_document


def document_of(passport):
    return json.loads(json.dumps(to_document(passport)))


@pytest.mark.parametrize("passport", [synthetic_cpu(), synthetic_gpu(), synthetic_cpu(native=None, notes=())])
def test_what_is_saved_is_read(tmp_path, passport):
    path = tmp_path / "machine.json"
    save_passport(passport, path)
    assert load_passport(path) == passport


def planted(*path_and_value):
    """A change at a place in the document; a callable changes what is there."""
    *path, last, value = path_and_value

    def change(document):
        place = document
        for step in path:
            place = place[step]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value

    return change


TABLE = ("torch", 0, "tables", "linear")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (planted("format", "hotloop passport 999"), "format"),
        (planted("device", "abacus"), "device"),
        (planted("name", 7), "'name' is 7"),
        (planted("name", "x" * 5000), "'name'"),
        (planted("machine", ["a"]), "'machine'"),
        (planted("machine", {"cpu": 3}), "'machine' is 3"),
        (planted("versions", KeyError), "missing or unknown: versions"),
        (planted("extra", "x"), "missing or unknown: extra"),
        (planted("took_s", -1.0), "'took_s'"),
        (planted("took_s", True), "'took_s' is True"),
        (planted("took_s", 10**400), "'took_s'"),
        (planted("notes", "none"), "'notes'"),
        (planted("notes", ["x"] * 100), "'notes'"),
        (planted("torch", {}), "'torch'"),
        (planted("torch", 0, "threads", 0), "'threads' is 0"),
        (planted("torch", 0, "threads", 1.5), "'threads' is 1.5"),
        (planted("torch", 0, "host_us", "step", None), "'step' is None"),
        (planted("torch", 0, "host_us", "step", "1"), "'step' is '1'"),
        (planted("torch", 0, "host_us", "linear", -1.0), "'linear' is -1.0"),
        (planted("torch", 0, "host_us", "breakfast", 1.0), "unknown: breakfast"),
        (planted("torch", 0, "tables", "linear", KeyError), "missing or unknown: linear"),
        (planted(*TABLE, "us", [1.0]), "1 times for a grid of 27"),
        (planted(*TABLE, "us", 3, None), "'linear' is None"),
        (planted(*TABLE, "us", 3, -0.5), "'linear' is -0.5"),
        (planted(*TABLE, "axes", [[1, 2]]), "axes of 'linear'"),
        (planted(*TABLE, "axes", 0, [10, 10, 20]), "axes of 'linear'"),
        (planted(*TABLE, "axes", 0, [20, 10, 30]), "axes of 'linear'"),
        (planted(*TABLE, "axes", 0, []), "axes of 'linear'"),
        (planted(*TABLE, "axes", 0, [0, 10, 20]), "'linear' is 0"),
        (planted("torch", 0, "spread", "low", 2.0), "not in order"),
        (planted("torch", 0, "spread", "low", 0.0), "'low' is 0.0"),
        (planted("native", "lanes", 10**9), "'lanes'"),
        (planted("native", "ns", "product", -1.0), "'product'"),
        (planted("native", []), "an object is needed"),
        (planted("accelerator", {}), "missing or unknown"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, change, reason):
    document = document_of(synthetic_cpu())
    change(document)
    with pytest.raises(SavedRunError) as caught:
        from_document(document)
    assert reason in caught.value.why
    path = tmp_path / "hostile.json"
    path.write_bytes(seal(document))
    with pytest.raises(SavedRunError, match=r"hostile\.json' is no passport") as caught:
        load_passport(path)
    assert len(caught.value.one_line) < 600


def test_a_gpu_needs_figures_of_torch():
    document = document_of(synthetic_gpu())
    document["torch"] = []
    with pytest.raises(SavedRunError):
        from_document(document)


def test_figures_that_a_gpu_may_lack():
    gpu = synthetic_gpu()
    without = replace(gpu, accelerator=replace(gpu.accelerator, graph_kernel_us=None, graph_launch_us=None))
    assert from_document(document_of(without)) == without
    document = document_of(gpu)
    document["accelerator"]["kernel_us"] = None
    with pytest.raises(SavedRunError):
        from_document(document)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"sha256": ""}', b"[" * 100_000, b"null"])
def test_files_that_are_no_passport(tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(SavedRunError, match="no passport"):
        load_passport(path)


def test_a_file_that_was_cut_or_changed(tmp_path):
    path = tmp_path / "machine.json"
    save_passport(synthetic_cpu(), path)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole + b" ", whole.replace(b"Synthetic", b"Sinthetic")):
        path.write_bytes(damaged)
        with pytest.raises(SavedRunError):
            load_passport(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SavedRunError, match="cannot read"):
        load_passport(tmp_path / "missing.json")
    with pytest.raises(SavedRunError, match="cannot read"):
        load_passport(tmp_path)
    with pytest.raises(SavedRunError, match="cannot read"):
        load_passport("nul\0byte.json")
    large = tmp_path / "large.json"
    large.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(SavedRunError, match="no passport"):
        load_passport(large)


def test_a_document_is_not_changed_by_reading():
    document = document_of(synthetic_cpu())
    before = copy.deepcopy(document)
    from_document(document)
    assert document == before


def test_passports_that_ship_say_when_and_with_what():
    for passport in shipped_passports():
        assert passport.device == "cpu" or passport.accelerator is not None
        assert passport.measured_on >= "2025"
        assert {"hotloop", "torch", "numpy"} <= set(passport.versions)
        assert passport.took_s > 0
        assert all(costs.spread.networks for costs in passport.torch)


def test_reading_and_forecasting_need_neither_torch_nor_llvm(tmp_path):
    path = tmp_path / "machine.json"
    save_passport(synthetic_cpu(), path)
    code = f"""
import sys
from hotloop.insight.machines.passport import load_passport
from hotloop.insight.forecasting.forecast import forecast_eager, forecast_native
from hotloop.insight.forecasting.work import Work
from hotloop.program.network import Network
passport = load_passport({str(path)!r})
work = Work.of_network(Network.mlp(4, (10,), 3), "ce", "sgd", 120)
assert forecast_eager(work, passport).value > 0 and forecast_native(work, passport).value > 0
print([name for name in ("torch", "llvmlite", "polars", "psutil") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_devices_writes_a_passport(tmp_path, monkeypatch, capsys):
    from hotloop.cli import devices as command
    from hotloop.errors import OutputError
    from hotloop.insight.machines import measure_passport

    found = synthetic_cpu()
    monkeypatch.setattr(measure_passport, "measure_passport", lambda device: found)
    command.devices(passport=tmp_path / "machine.json")
    assert load_passport(tmp_path / "machine.json") == found
    out, err = capsys.readouterr()
    assert out.startswith("CPU\n")
    assert "machine.json" in err
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(OutputError):
        command.devices(passport=occupied / "machine.json")
