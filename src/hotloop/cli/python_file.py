"""A model from a person's own Python file: ``model.py:NAME``."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from hotloop.errors import ArgumentError, HotloopError, nearest
from hotloop.language import _

if TYPE_CHECKING:
    import torch

__all__ = ["is_python_file", "load_module", "where_raised"]

_MOST_NAMES = 8


def is_python_file(text: str) -> bool:
    """Whether an argument means a model in a Python file rather than a table."""
    path, name = _parted(text)
    return bool(name) or path.suffix == ".py"


def load_module(text: str) -> torch.nn.Module:
    """Execute a Python file and return the model that it names.

    Parameters
    ----------
    text : str
        ``FILE.py:NAME``; NAME is a class of nn.Module, which is built without arguments, an instance of one, or a
        function without arguments that returns one.

    Raises
    ------
    ArgumentError
        No such file or name, or what bears the name is no model.
    HotloopError
        The file, the class or the function raised an exception.
    """
    path, name = _parted(text)
    if not path.is_file():
        why = _("it is a folder") if path.is_dir() else _("there is no such file")
        raise ArgumentError(_("cannot read {path}").format(path=path), why=f"{why}.{_near_file(path)}")
    if path.suffix != ".py":
        raise ArgumentError(_("{path} is no Python file").format(path=path), do=_("give it as model.py:NAME"))
    with _importing(path.resolve().parent):
        module = _executed(path)
        return _built(path, name, _found(path, name, module))


def _parted(text: str) -> tuple[Path, str]:
    """Split at the last colon that is followed by a name; the one after a drive's letter is not."""
    head, colon, name = text.rpartition(":")
    return (Path(head), name) if colon and head and not set("/\\.") & set(name) else (Path(text), "")


def _near_file(path: Path) -> str:
    try:
        return nearest(path.name, [file.name for file in path.parent.glob("*.py")])
    except OSError:
        return ""


@contextlib.contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, and leave no compiled files beside them."""
    writes = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _executed(path: Path) -> ModuleType:
    # A file may be called torch.py: it must not take the place of what it imports.
    name = path.stem if path.stem.isidentifier() and not _is_taken(path) else f"file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and type hints look up the module by its name.
    sys.modules[name] = module
    loader = spec.loader
    try:
        _calling(lambda: loader.exec_module(module), path, _("cannot execute {path}").format(path=path))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_taken(path: Path) -> bool:
    if path.stem in sys.stdlib_module_names or path.stem in sys.modules:
        return True
    folder = str(path.resolve().parent)
    try:
        spec = importlib.util.find_spec(path.stem)
    except (ImportError, ValueError):
        return True
    return spec is not None and not str(spec.origin).startswith(folder)


def _calling(function: Callable[[], Any], path: Path, what: str) -> Any:
    """Run the person's code; what it raises becomes one line that names the place."""
    try:
        return function()
    except HotloopError:
        raise
    except (Exception, SystemExit) as error:
        raise HotloopError(f"{what}: {where_raised(error, path)}") from error


def where_raised(error: BaseException, path: Path) -> str:
    """Return an exception in one line, with the last line of the file that it passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, path)]
    if isinstance(error, SyntaxError) and error.filename and _same(error.filename, path):
        lines = [error.lineno]
    line = _("line {n}: ").format(n=lines[-1]) if lines else ""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{line}{type(error).__name__}" + (f": {said}" if said else "")


def _same(filename: str, path: Path) -> bool:
    try:
        return Path(filename).resolve() == path.resolve()
    except OSError:
        return False


def _found(path: Path, name: str, module: ModuleType) -> object:
    models = [key for key, value in vars(module).items() if _is_model(value, module)]
    if not name:
        raise ArgumentError(_("{path} needs the name of a model").format(path=path), do=_listed(path, models))
    if not hasattr(module, name):
        what = _("{path} has no '{name}'").format(path=path, name=name)
        public = [key for key in vars(module) if not key.startswith("_")]
        raise ArgumentError(f"{what}.{nearest(name, models) or nearest(name, public)}", do=_listed(path, models))
    found: object = getattr(module, name)
    return found


def _is_model(value: object, module: ModuleType) -> bool:
    """Whether something in a file is a model of its own, not a class that it imported."""
    import torch

    if isinstance(value, type):
        return issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
    return isinstance(value, torch.nn.Module)


def _listed(path: Path, models: list[str]) -> str:
    if not models:
        return _("write a class of torch.nn.Module into it")
    names = ", ".join(f"{path}:{model}" for model in models[:_MOST_NAMES])
    if len(models) <= _MOST_NAMES:
        return _("write one of {names}").format(names=names)
    return _("write one of {names}, or one of {n} more").format(names=names, n=len(models) - _MOST_NAMES)


def _built(path: Path, name: str, found: object) -> torch.nn.Module:
    import torch

    if isinstance(found, torch.nn.Module):
        return found
    is_class = isinstance(found, type) and issubclass(found, torch.nn.Module)
    if not is_class and (isinstance(found, type) or not callable(found)):
        _refuse(path, name, type(found).__name__ if not isinstance(found, type) else _("a class of something else"))
    assert callable(found)
    _check_needs_nothing(path, name, found)
    what = _("cannot build {path}:{name}").format(path=path, name=name)
    model = _calling(found, path, what)
    if not isinstance(model, torch.nn.Module):
        _refuse(path, name, _("a function that returned {kind}").format(kind=type(model).__name__))
    return model


def _refuse(path: Path, name: str, kind: str) -> NoReturn:
    raise ArgumentError(
        _("{path}:{name} is no torch.nn.Module but {kind}").format(path=path, name=name, kind=kind),
        do=_("name a class of nn.Module, an instance of one, or a function that returns one"),
    )


def _check_needs_nothing(path: Path, name: str, build: Callable[..., object]) -> None:
    """Refuse what needs arguments, by their names."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in kinds]
    if needed:
        what = _("{path}:{name} cannot be built without arguments").format(path=path, name=name)
        raise ArgumentError(
            what,
            why=_("it needs {names}").format(names=", ".join(needed)),
            do=_("give them defaults, or write a function without arguments that returns the model"),
        )
