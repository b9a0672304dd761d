"""Find the texts of the sources that a person reads: what is wrapped for translation, and the help of commands.

==================================  ==============================================
``_("text")``, ``Sentence("text")``  a message; also ``Group("title")`` of options
``n_("one", "many", n)``, ``counted``  a message with a plural
docstring of ``cli/NAME.py:NAME``   its first paragraph and its parameters
==================================  ==============================================
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SOURCES", "Message", "messages_of", "messages_of_sources"]

SOURCES = Path(__file__).parents[2] / "src" / "hotloop"

_MARKERS = ("_", "n_", "Sentence", "counted", "Group")
_COUNTING = ("n_", "counted")


@dataclass(frozen=True)
class Message:
    """A text in English, its plural where it has one, and the files it stands in."""

    text: str
    plural: str | None = None
    files: tuple[str, ...] = ()


def messages_of_sources(sources: Path = SOURCES) -> dict[str, Message]:
    """Return every message by its text, in the order of files and lines."""
    found: dict[str, Message] = {}
    for path in sorted(sources.rglob("*.py")):
        file = path.relative_to(sources).as_posix()
        for message in messages_of(path.read_text(encoding="utf-8"), file):
            earlier = found.get(message.text, message)
            files = tuple(dict.fromkeys([*earlier.files, file]))
            found[message.text] = Message(message.text, message.plural or earlier.plural, files)
    return found


def messages_of(source: str, file: str) -> Iterator[Message]:
    """Return the messages of one file.

    Raises
    ------
    ValueError
        If something else than a literal is wrapped, which no catalogue can hold.
    """
    tree = ast.parse(source)
    if file.startswith("cli/"):
        yield from _messages_of_help(tree, Path(file).stem)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _marker(node) in _MARKERS]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        texts = [_literal(argument, file) for argument in call.args[: 2 if _marker(call) in _COUNTING else 1]]
        yield Message(*texts)


def _marker(call: ast.Call) -> str | None:
    return call.func.id if isinstance(call.func, ast.Name) else None


def _literal(argument: ast.expr, file: str) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    raise ValueError(f"{file}, line {argument.lineno}: only a literal can be translated, not {ast.unparse(argument)}")


def _messages_of_help(tree: ast.Module, command: str) -> Iterator[Message]:
    import docstring_parser

    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == command:
            parsed = docstring_parser.parse(ast.get_docstring(node) or "")
            texts = [parsed.short_description, *(parameter.description for parameter in parsed.params)]
            yield from (Message(" ".join(text.split())) for text in texts if text)
