"""Errors have up to four parts, and read well on several lines and on one."""

from __future__ import annotations

import hotloop
from hotloop import errors


def test_the_parts_on_lines_and_on_one():
    error = hotloop.UnsupportedError("cannot do 'x'", why="it is\n  Monday", do="run.json must go", see="hotloop train")
    assert str(error) == "cannot do 'x'\n  Why: it is\n  Monday\n  Do:  run.json must go\n  See: hotloop train"
    assert error.one_line == "cannot do 'x'. It is Monday. run.json must go. See hotloop train."
    assert hotloop.ArgumentError("is it?").one_line == "is it?"


def test_each_error_is_what_a_caller_would_catch():
    kinds = {
        errors.ArgumentError: (ValueError, 2),
        errors.TableError: (ValueError, 1),
        errors.DeviceError: (RuntimeError, 1),
        errors.OutOfMemoryError: (MemoryError, 1),
        errors.SavedRunError: (OSError, 1),
        errors.OutputError: (OSError, 1),
        errors.UnsupportedError: (Exception, 1),
    }
    for kind, (builtin, exit_code) in kinds.items():
        assert issubclass(kind, (errors.HotloopError))
        assert issubclass(kind, builtin)
        assert kind.exit_code == exit_code
    assert issubclass(errors.Interrupted, KeyboardInterrupt)


def test_public_names_are_there():
    for name in hotloop.__all__:
        assert getattr(hotloop, name) is not None
    assert set(hotloop.__all__) <= set(dir(hotloop))
    assert not hasattr(hotloop, "nothing")


def test_nearest():
    assert errors.nearest("speces", ["petal", "species"]) == " Did you mean 'species'?"
    assert errors.nearest("xyz", ["petal"]) == ""
