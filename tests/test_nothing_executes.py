"""No file of hotloop can turn data into code: a static check of every source file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hotloop

PACKAGE = Path(hotloop.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "runpy",
    "code",
}
BUILTINS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    "torch.load",
    "torch.save",
    "importlib.import_module",
    "np.load",
    "numpy.load",
    "os.system",
    "yaml.load",
}
KEYWORDS = {"allow_pickle", "shell"}
# They load hotloop's own parts late, from a fixed table.
ALLOWED = {"hotloop/__init__.py": "importlib.import_module", "hotloop/capture/__init__.py": "importlib.import_module"}


def offences(source: str) -> list[str]:
    """Return what in ``source`` could execute data, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            imported = [f"{module}.{alias.name}" for alias in node.names]
            names = [name for name in imported if module.split(".")[0] in MODULES or name in ATTRIBUTES]
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            names = [node.id]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ATTRIBUTES:
            names = [ast.unparse(node)]
        elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            names = [node.arg]
        found += [f"line {node.lineno}: {name}" for name in names]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_source_file_executes_data(path):
    name = path.relative_to(PACKAGE.parent).as_posix()
    found = offences(path.read_text(encoding="utf-8"))
    assert [offence for offence in found if offence.split(": ")[1] != ALLOWED.get(name)] == []


def test_there_are_source_files():
    assert len(SOURCES) > 5


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "import os, marshal",
        "from pickle import loads",
        "from shelve import open as open_shelf",
        "def f():\n    import joblib.numpy_pickle",
        "eval('1')",
        "run = exec",
        "compile('1', '', 'eval')",
        "__import__(name)",
        "torch.load(path)",
        "from torch import load",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module",
        "np.load(path)",
        "read(path, allow_pickle=True)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_the_check_finds_what_is_planted(planted):
    assert offences(planted)


@pytest.mark.parametrize(
    "harmless", ["import re\nre.compile('x')", "from safetensors.torch import load", "module.eval()"]
)
def test_the_check_lets_pass_what_executes_nothing(harmless):
    assert offences(harmless) == []
