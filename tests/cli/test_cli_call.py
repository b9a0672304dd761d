"""``hotloop call``: a person's own file, guessed inputs, mistakes in one line."""

from __future__ import annotations

import io
import json
import sys

import pytest
import torch

from hotloop.cli.example_input import example_input
from hotloop.cli.python_file import is_python_file, load_module
from hotloop.errors import ArgumentError, HotloopError

MODEL = """
import torch
from neighbour import WIDTH

print("at import")


def show(module, args, output):
    print("a hook prints")


class MLP(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(4, WIDTH)
        self.fc2 = torch.nn.Linear(WIDTH, 3)
        self.register_forward_hook(show)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


class Wide(torch.nn.Module):
    def __init__(self, width, *, depth=2):
        super().__init__()


class Raises(torch.nn.Module):
    def forward(self, x):
        raise ValueError("two\\nlines")


ready = MLP()
number = 3


def build():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten(), torch.nn.Linear(1800, 2))


def broken():
    return 1 / 0


def nothing():
    return None
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "neighbour.py").write_text("WIDTH = 10\n", encoding="utf-8")
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    return tmp_path


@pytest.fixture(autouse=True)
def forget_neighbour():
    yield
    sys.modules.pop("neighbour", None)
    sys.modules.pop("model", None)


def test_a_class_is_called_and_shown_on_one_screen(folder, in_process):
    done = in_process("call", "model.py:MLP")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("MLP, 83 parameters")
    assert max(map(len, lines)) <= 80
    assert len(lines) < 30
    assert "forward hook show" in done.stdout
    assert "The model's forward hooks do not run: show." in done.stdout
    # What the person's code prints is kept apart, and shown once for each recording.
    assert "a hook prints" not in done.stdout
    assert done.stderr.splitlines() == ["Calling model.py:MLP ...", "at import", "a hook prints"]
    assert sorted(path.name for path in folder.iterdir()) == ["model.py", "neighbour.py"]


@pytest.mark.parametrize("name", ["ready", "build"])
def test_instances_and_functions_are_taken(folder, in_process, name):
    done = in_process("call", f"model.py:{name}", "--json", "--batch", "2")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["call"]["steps"][0]["inputs"][0]["shape"] == ([2, 4] if name == "ready" else [2, 3, 32, 32])
    assert document["call"]["expression"] == "model(x)"


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [
        ("model.py:MPL", 2, "model.py has no 'MPL'. Did you mean 'MLP'? Write one of model.py:MLP, model.py:Wide"),
        ("model.py", 2, "model.py needs the name of a model. Write one of model.py:MLP"),
        ("modle.py:MLP", 2, "cannot read modle.py. There is no such file. Did you mean 'model.py'?"),
        (".:MLP", 2, "cannot read . It is a folder."),
        ("model.py:Wide", 2, "model.py:Wide cannot be built without arguments. It needs width."),
        ("model.py:number", 2, "model.py:number is no torch.nn.Module but int"),
        ("model.py:torch", 2, "model.py:torch is no torch.nn.Module but module"),
        ("model.py:nothing", 2, "a function that returned NoneType"),
        ("model.py:broken", 1, "cannot build model.py:broken: line 42: ZeroDivisionError: division by zero"),
        ("model.py:Raises", 2, "cannot guess what Raises takes. Write --input 4"),
        ("notes.txt:MLP", 2, "notes.txt is no Python file"),
        ("leaves.py:MLP", 1, "cannot execute leaves.py: line 1: SystemExit: 3"),
        ("wrong.py:MLP", 1, "cannot execute wrong.py: line 2: SyntaxError"),
        ("binary.py:MLP", 1, "cannot execute binary.py"),
    ],
)
def test_mistakes_are_one_line(folder, in_process, argument, code, said):
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "leaves.py").write_text("raise SystemExit(3)", encoding="utf-8")
    (folder / "wrong.py").write_text("x = 1\nclass:\n", encoding="utf-8")
    (folder / "binary.py").write_bytes(b"\x00\xff\xfe")
    done = in_process("call", argument)
    assert done.returncode == code
    assert done.stdout == ""
    error = [line for line in done.stderr.splitlines() if line.startswith("hotloop: ")]
    assert len(error) == 1
    assert said in error[0]


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("Raises", "4", "model(x) raised ValueError: two."),
        ("MLP", "5", "mat1 and mat2"),
        ("build", "4", "RuntimeError"),
    ],
)
def test_a_model_that_raises_is_shown_up_to_there(folder, in_process, name, shape, said):
    done = in_process("call", f"model.py:{name}", "--input", shape)
    assert done.returncode == 1
    assert "raised " in done.stdout
    error = done.stderr.splitlines()[-1]
    assert said in error
    assert f"shape 8,{shape}" in error


@pytest.mark.parametrize("shape", ["a", "", "0", "-3", "4,,4", "1e3", "²", "100000000,100000000"])
def test_shapes_that_make_no_sense_are_refused(folder, in_process, shape):
    done = in_process("call", "model.py:MLP", "--input", shape)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if line.startswith("hotloop: ")]) == 1


def test_zero_rows_are_refused(folder, in_process):
    assert in_process("call", "model.py:MLP", "--batch", "0").returncode == 2


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "utf-8"])
def test_every_console_shows_the_tree(folder, monkeypatch, encoding):
    from hotloop.cli import main

    (folder / "model.py").write_text(MODEL.replace("show", "显示"), encoding="utf-8")
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("hotloop.cli.stop_at_once", lambda: None)
    monkeypatch.setattr("sys.stdout", console)
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main(["call", "model.py:MLP"])
    assert not left.value.code
    text = console.buffer.getvalue().decode(encoding)
    assert ("├─" in text) == (encoding == "utf-8")
    assert ("|- " in text) == (encoding != "utf-8")
    assert ("显示" in text) == (encoding != "ascii")


def test_in_a_fresh_process(folder, hotloop_cli):
    done = hotloop_cli("call", "model.py:build", "--batch", "2", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert "2,3,32,32" in done.stdout


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("model.py:MLP", True),
        ("model.py", True),
        ("iris", False),
        ("data.csv", False),
        (r"C:\data.csv", False),
        (r"C:\m.py", True),
    ],
)
def test_what_is_a_python_file(argument, expected):
    assert is_python_file(argument) == expected


def test_a_file_named_like_a_library_takes_nobodys_place(tmp_path):
    import json as former

    (tmp_path / "json.py").write_text(
        "import torch\nclass Net(torch.nn.Linear):\n  def __init__(self): super().__init__(2, 1)\n", encoding="utf-8"
    )
    assert type(load_module(f"{tmp_path / 'json.py'}:Net")).__name__ == "Net"
    assert sys.modules["json"] is former
    assert str(tmp_path) not in sys.path


def test_where_a_file_fails_in_another_its_own_line_is_named(tmp_path):
    (tmp_path / "faulty_neighbour.py").write_text("\n\nboom\n", encoding="utf-8")
    (tmp_path / "own.py").write_text("\nimport faulty_neighbour\n", encoding="utf-8")
    with pytest.raises(HotloopError, match=r"line 2: NameError: name 'boom' is not defined"):
        load_module(f"{tmp_path / 'own.py'}:Net")
    assert "own" not in sys.modules


nn = torch.nn


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(7, 2),
        nn.Linear(7, 2, dtype=torch.float64),
        nn.Conv1d(2, 3, 3),
        nn.Conv2d(2, 3, 3),
        nn.Conv3d(1, 1, 3),
        nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(128, 2)),
        nn.LSTM(3, 4),
        nn.GRU(3, 4, batch_first=True),
        nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)),
        nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()),
        nn.LayerNorm((3, 5)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_guessed_inputs_fit(model):
    x = example_input(model, None, 4)
    model(x)
    assert 4 in x.shape
    assert torch.equal(x, example_input(model, None, 4))


def test_a_lazy_layer_cannot_be_guessed_but_told():
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ArgumentError, match="cannot guess"):
        example_input(model, None, 4)
    assert model(example_input(model, "5", 4)).shape == (4, 3)


def test_a_file_without_a_model_says_so(tmp_path):
    (tmp_path / "plain.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"Do:  write a class of torch.nn.Module into it"):
        load_module(f"{tmp_path / 'plain.py'}:Net")
