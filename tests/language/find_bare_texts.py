"""Find texts that look like English sentences and are not wrapped for translation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

__all__ = ["bare_texts"]

_MARKERS = {"_", "n_", "Sentence", "counted", "Group"}
_SENTENCE = re.compile(r"[A-Za-z]{2,}[,:;]? [a-z]{2,}")
_SHOWING = {"print", "_complain", "_fail", "_line", "TextColumn"}
_WORD = re.compile(r"[A-Za-z]{2,}")


def bare_texts(source: str, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Return each bare text with its line: two words in a row anywhere, or one in a call that shows something.

    Parameters
    ----------
    source : str
    allowed : set of str
        Texts that stay as they are in every language.
    """
    tree = ast.parse(source)
    wrapped = {id(part) for call in ast.walk(tree) if _is_marker(call) for part in ast.walk(call)}
    bare = [*_literals(tree, wrapped, _SENTENCE)]
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _name(call) in _SHOWING:
            bare += [text for argument in call.args for text in _literals(argument, wrapped, _WORD)]
    return [f"line {line}: {text!r}" for line, text in sorted(set(bare)) if text not in allowed]


def _literals(tree: ast.AST, wrapped: set[int], pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    left_out = wrapped | {id(node) for node in ast.walk(tree) if _is_no_text(node) for node in ast.walk(node)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in left_out and pattern.search(node.value):
            yield node.lineno, node.value


def _is_no_text(node: ast.AST) -> bool:
    """Whether it is a docstring, a type, what a placeholder is formatted by, or a key."""
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or isinstance(node, (ast.Assert, ast.Subscript, ast.AnnAssign, ast.keyword, ast.Compare))


def _is_marker(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node) in _MARKERS


def _name(call: ast.Call) -> str | None:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else None
