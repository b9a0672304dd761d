"""A saved run is loaded as it was, or refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from hotloop.capture import to_module
from hotloop.errors import ArgumentError, SavedRunError
from hotloop.files import seal, unseal
from hotloop.program.network import Network
from hotloop.runs import load


@pytest.fixture
def saved(make_run, tmp_path):
    return make_run().save(tmp_path / "iris")


def refused(path, **keywords):
    """Return the one line with which loading is refused."""
    with pytest.raises(SavedRunError) as caught:
        load(path, **keywords)
    assert "\n" not in caught.value.one_line
    return caught.value.one_line


def forge(path, name, change):
    """Change a document and make every checksum right again: what an attacker would do, not an accident."""
    document = unseal((path / name).read_bytes(), name)
    change(document)
    (path / name).write_bytes(seal(document))
    if name != "run.json":
        digest = hashlib.sha256((path / name).read_bytes()).hexdigest()
        forge(path, "run.json", lambda run: run["files"].update({name: digest}))


def forge_weights(path, data):
    (path / "weights.safetensors").write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    forge(path, "network.json", lambda description: description.update(weights=entry))


def test_a_run_comes_back(saved, network):
    predictor = load(str(saved))
    assert predictor.network == network
    assert predictor.schema is None
    run_json = json.loads((saved / "run.json").read_bytes())
    del run_json["sha256"]
    assert predictor.run == run_json
    module = predictor.module()
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), network.initialise(0)[name])


@pytest.mark.no_cover
@pytest.mark.parametrize("name", ["run.json", "network.json", "weights.safetensors"])
def test_every_byte_flipped_is_refused(saved, name):
    whole = (saved / name).read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        (saved / name).write_bytes(damaged)
        assert name in refused(saved), position
    (saved / name).write_bytes(whole)
    load(saved)


@pytest.mark.parametrize("name", ["run.json", "network.json", "weights.safetensors"])
def test_every_cut_is_refused(saved, name):
    whole = (saved / name).read_bytes()
    for length in range(len(whole)):
        (saved / name).write_bytes(whole[:length])
        assert name in refused(saved), length
    (saved / name).write_bytes(whole + b"\0")
    assert name in refused(saved)


def test_files_of_another_run_are_refused(saved, make_run, network, tmp_path):
    other = make_run(weights=network.initialise(1)).save(tmp_path / "other")
    for name in ("network.json", "weights.safetensors"):
        copy = shutil.copytree(saved, tmp_path / f"with {name}")
        shutil.copy(other / name, copy / name)
        assert f"{name}' is damaged" in refused(copy)


def test_losses_may_be_opened_and_saved_by_a_spreadsheet(saved):
    (saved / "losses.csv").write_text("changed")
    load(saved)


def test_what_is_no_run(saved, tmp_path):
    assert refused(tmp_path / "irs").startswith(f"there is no run '{tmp_path / 'irs'}'. Did you mean 'iris'?")
    assert "there is no run" in refused("nul\0byte")
    assert "there is no run" in refused(tmp_path / "nowhere" / "iris")
    assert "is a file" in refused(saved / "run.json")
    assert "is not a saved run. It holds no run.json" in refused(tmp_path)
    assert "cannot read" in refused("n" * 300)


@pytest.mark.parametrize("name", ["run.json", "network.json", "weights.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    assert f"{name} is missing" in refused(saved)
    (saved / name).symlink_to("nowhere")
    assert "cannot read" in refused(saved)
    (saved / name).unlink()
    os.mkfifo(saved / name)  # reading it would wait for ever
    assert name in refused(saved)
    (saved / name).unlink()
    (saved / name).mkdir()
    assert name in refused(saved)


@pytest.mark.parametrize("name", ["run.json", "network.json"])
def test_another_version(saved, name):
    forge(saved, name, lambda document: document.update(format=2))
    line = refused(saved)
    assert "has format 2, this hotloop reads format 1" in line
    assert "Install a newer hotloop." in line
    forge(saved, name, lambda document: document.update(format=0))
    assert "newer" not in refused(saved)


@pytest.mark.parametrize("key", ["format", "kind", "task", "weights", "layers"])
@pytest.mark.parametrize("value", [None, True, -1, 1.5, "os.system", [], {}, {"sha256": 1, "size_bytes": "1"}])
def test_forged_descriptions_are_refused(saved, key, value):
    forge(saved, "network.json", lambda document: document.update({key: value}))
    refused(saved)


def test_forged_sizes_and_shapes_are_refused(saved, network, make_run, tmp_path):
    def widen(document):
        document["layers"] = Network.mlp(4, (2**20,), 3).to_json()

    forge(saved, "network.json", widen)
    assert "are not those of the saved network" in refused(saved)
    forge(saved, "network.json", lambda document: document["weights"].update(size_bytes=1))
    assert "no file of the size" in refused(saved)
    forge(saved, "run.json", lambda document: document.update(files=5))
    assert "run.json makes no sense" in refused(saved)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 100,
        (2**63).to_bytes(8, "little") + b"{}",
        (50).to_bytes(8, "little")
        + b'{"0.weight":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}',
        b"\x80\x04\x95cos\nsystem\n.",
    ],
)
def test_forged_weights_are_refused(saved, data):
    forge_weights(saved, data)
    assert "the saved weights cannot be read" in refused(saved)
    assert "the saved weights cannot be read" in refused(saved, into=torch.nn.Linear(1, 1))


def test_weights_of_another_kind_are_refused(saved, network):
    from safetensors.numpy import save

    forge_weights(saved, save({name: array.astype(np.int32) for name, array in network.initialise(0).items()}))
    assert "are not those of the saved network" in refused(saved)


def test_a_module_of_ones_own_needs_its_code(make_run, tmp_path):
    module = torch.nn.Linear(4, 3)
    weights = module.state_dict()
    path = make_run(network=None, weights=weights, module_name="MyNet").save(tmp_path / "iris")
    assert "holds the weights of MyNet, not its code. Build the module and call hotloop.load(" in refused(path)
    other = torch.nn.Linear(4, 3)
    predictor = load(path, into=other)
    assert predictor.module() is other
    assert predictor.network is None
    assert torch.equal(other.weight, module.weight)


def test_into_takes_a_run_of_layers_too(saved, network):
    module = to_module(network, network.initialise(5))
    predictor = load(saved, into=module)
    assert predictor.network == network
    np.testing.assert_array_equal(module[0].weight.detach().numpy(), network.initialise(0)["0.weight"])


def test_a_module_that_does_not_fit_is_left_alone_and_told_all_differences(saved):
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(5, 3, bias=False).double())
    module.append(torch.nn.Linear(3, 3))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    line = refused(saved, into=module)
    for difference in (
        "'0.weight' is (5, 4) float32 in the run and (6, 4) float32 in the module",
        "'0.bias' is (5,) float32 in the run and (6,) float32 in the module",
        "'2.weight' is (3, 5) float32 in the run and (3, 5) float64 in the module",
        "'2.bias' is not in the module",
        "'3.weight' is not in the run",
    ):
        assert difference in line
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_state_that_is_no_tensor_is_a_difference(saved, make_run, tmp_path):
    class WithState(torch.nn.Module):
        def get_extra_state(self):
            return {"anything": 1}

        def set_extra_state(self, state):
            pytest.fail("nothing is loaded")

    path = make_run(network=None, weights={"_extra_state": np.zeros(2)}).save(tmp_path / "iris")
    assert "'_extra_state' is (2,) float64 in the run and dict in the module" in refused(path, into=WithState())


def test_bfloat16_is_widened_where_torch_is_not_used(make_run, network, tmp_path):
    weights = {name: torch.from_numpy(array).bfloat16() for name, array in network.initialise(0).items()}
    predictor = load(make_run(weights=weights).save(tmp_path / "iris"))
    for name, array in predictor.model.weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, weights[name].float().numpy())


WATCHED_LOAD = """
import sys
from hotloop.runs import load
import numpy as np
load(sys.argv[1]).predict(np.zeros((2, 4)))      # imports what it needs
events = []
sys.addaudithook(lambda event, arguments: events.append(event))
load(sys.argv[1]).predict(np.zeros((2, 4)))
print(sorted({*events} & {"exec", "compile", "import", "pickle.find_class", "os.system", "subprocess.Popen"}))
print(sorted({"torch", "matplotlib", "polars", "pickletools"} & {*sys.modules}))
"""


def test_loading_executes_nothing_and_needs_no_torch(saved):
    command = [sys.executable, "-c", WATCHED_LOAD, saved]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.parametrize("into", [3, torch.nn.Linear])
def test_into_is_a_module(saved, into):
    with pytest.raises(ArgumentError, match=r"into must be a torch\.nn\.Module"):
        load(saved, into=into)
