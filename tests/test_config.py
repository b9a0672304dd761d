"""The environment variables: what they take, and that the table tells all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hotloop import config
from hotloop.errors import ArgumentError

SOURCE = Path(config.__file__).read_text(encoding="utf-8")


def test_the_table_is_what_the_module_reads():
    assert config.__doc__ is not None
    documented = re.findall(r"^(HOTLOOP_\w+) +(\S.*?) {2,}(\S+) {2,}\S", config.__doc__, flags=re.M)
    calls = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Call)]
    read = {
        ast.literal_eval(call.args[0]): {
            option.arg: getattr(config, option.value.id) if isinstance(option.value, ast.Name) else option.value.value
            for option in call.keywords
        }
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("_number", "_directory")
    }
    expected = {
        variable: ("a directory", "none")
        if not options
        else (f"0 {'or' if options['highest'] == 1 else 'to'} {options['highest']}", str(options["default"]))
        for variable, options in read.items()
    }
    assert {variable: (values, default) for variable, values, default in documented} == expected
    assert len(documented) == len(expected) == 5


def test_every_debug_level_is_explained():
    assert config.__doc__ is not None
    levels = re.findall(r"^(\d) {2,}\S", config.__doc__, flags=re.M)
    assert levels == [str(level) for level in range(config._HIGHEST_DEBUG_LEVEL + 1)]


@pytest.mark.parametrize(
    ("variable", "function", "values"),
    [
        ("HOTLOOP_DEBUG", config.debug_level, {None: 0, "": 0, "0": 0, "1": 1, "5": 5}),
        ("HOTLOOP_VERIFY", config.verifies, {None: True, "": True, "0": False, "1": True}),
        ("HOTLOOP_NO_CACHE", config.uses_cache, {None: True, "": True, "0": True, "1": False}),
        ("HOTLOOP_DUMP", config.dump_directory, {None: None, "": None, "new/folder": Path("new/folder")}),
        ("HOTLOOP_CACHE_DIR", config.cache_directory_override, {None: None, "": None, "a b": Path("a b")}),
    ],
)
def test_values(monkeypatch, variable, function, values):
    for text, value in values.items():
        monkeypatch.delenv(variable, raising=False)
        if text is not None:
            monkeypatch.setenv(variable, text)
        assert function() == value


@pytest.mark.parametrize(
    ("variable", "function", "wrong"),
    [
        ("HOTLOOP_DEBUG", config.debug_level, ["6", "-1", "yes", " 1", "01", "1.0", "²"]),
        ("HOTLOOP_VERIFY", config.verifies, ["2", "no", "true"]),
        ("HOTLOOP_NO_CACHE", config.uses_cache, ["2", "yes"]),
        ("HOTLOOP_DUMP", config.dump_directory, [__file__]),
        ("HOTLOOP_CACHE_DIR", config.cache_directory_override, [__file__]),
    ],
)
def test_wrong_values(monkeypatch, variable, function, wrong):
    for text in wrong:
        monkeypatch.setenv(variable, text)
        with pytest.raises(ArgumentError, match=variable):
            function()
