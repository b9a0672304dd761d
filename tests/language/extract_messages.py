"""Find the texts of the sources that a person reads: what is wrapped for translation, and the help of commands.

==================================  ==============================================
``_("text")``, ``Sentence("text")``  a message; also ``Group("title")`` of options
``n_("one", "many", n)``, ``counted``  a message with a plural
``{{ _("text") }}``                 the same in a template of a page
docstring of a command            its first paragraph and its parameters
==================================  ==============================================
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SOURCES", "Message", "messages_of", "messages_of_page", "messages_of_sources"]

SOURCES = Path(__file__).parents[2] / "src" / "hotloop"

_COMMAND = re.compile(r'"hotloop\.cli\.(\w+):(\w+)"')
_MARKERS = ("_", "n_", "Sentence", "counted", "Group")
_MAKES_SENTENCES = "sentence.py"
_COUNTING = ("n_", "counted")


@dataclass(frozen=True)
class Message:
    """A text in English, its plural where it has one, and the files it stands in."""

    text: str
    plural: str | None = None
    files: tuple[str, ...] = ()


def messages_of_sources(sources: Path = SOURCES) -> dict[str, Message]:
    """Return every message by its text, in the order of files and lines."""
    commands = dict(_COMMAND.findall((sources / "cli" / "__init__.py").read_text(encoding="utf-8")))
    found: dict[str, Message] = {}
    for path in sorted([*sources.rglob("*.py"), *sources.rglob("*.html")]):
        file = path.relative_to(sources).as_posix()
        command = commands.get(path.stem) if file.startswith("cli/") else None
        source = path.read_text(encoding="utf-8")
        for message in messages_of(source, file, command) if path.suffix == ".py" else messages_of_page(source):
            earlier = found.get(message.text, message)
            files = tuple(dict.fromkeys([*earlier.files, file]))
            found[message.text] = Message(message.text, message.plural or earlier.plural, files)
    return found


def messages_of(source: str, file: str, command: str | None = None) -> Iterator[Message]:
    """Return the messages of one file, and of the docstring of the command in it.

    Raises
    ------
    ValueError
        If something else than a literal is wrapped, which no catalogue can hold.
    """
    tree = ast.parse(source)
    yield from _messages_of_help(tree, command)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _marker(node) in _MARKERS]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        arguments = call.args[: 2 if _marker(call) in _COUNTING else 1]
        if file == _MAKES_SENTENCES and not all(map(_is_literal, arguments)):
            continue
        yield Message(*(_literal(argument, file) for argument in arguments))


def _marker(call: ast.Call) -> str | None:
    return call.func.id if isinstance(call.func, ast.Name) else None


def _is_literal(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Constant) and isinstance(argument.value, str)


def _literal(argument: ast.expr, file: str) -> str:
    if isinstance(argument, ast.Constant) and _is_literal(argument):
        return str(argument.value)
    raise ValueError(f"{file}, line {argument.lineno}: only a literal can be translated, not {ast.unparse(argument)}")


def messages_of_page(source: str) -> Iterator[Message]:
    """Return the messages of one of Jinja's templates."""
    from jinja2 import Environment
    from jinja2.ext import extract_from_ast

    for _line, _function, texts in extract_from_ast(Environment().parse(source), _MARKERS):
        text, plural = (*(texts if isinstance(texts, tuple) else (texts,)), None)[:2]
        if text is not None:
            yield Message(text, plural)


def _messages_of_help(tree: ast.Module, command: str | None) -> Iterator[Message]:
    import docstring_parser

    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == command:
            parsed = docstring_parser.parse(ast.get_docstring(node) or "")
            texts = [parsed.short_description, *(parameter.description for parameter in parsed.params)]
            yield from (Message(" ".join(text.split())) for text in texts if text)
