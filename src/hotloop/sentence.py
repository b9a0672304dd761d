"""A sentence for a person: English wherever it is kept, in the reader's language where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Sentence", "clauses", "counted", "from_json", "sentences", "to_json"]


class Sentence(str):
    """English text that remembers what it was made from, so that `hotloop.language.shown` can say it otherwise.

    It is its English text: files, JSON, comparisons and tracebacks see nothing else. What is made of it by string
    methods, or read back from a file, is plain English.

    Parameters
    ----------
    template : str
        The text, as ``str.format`` takes it if there are values; it is looked up in the catalogues.
    **values
        What the placeholders stand for; other sentences among them are shown in the reader's language, too.

    Examples
    --------
    >>> Sentence("all {epochs} epochs done", epochs=3)
    'all 3 epochs done'
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        """Make the English text of a template."""
        sentence = super().__new__(cls, template.format(**values) if values else template)
        sentence.template, sentence.values = template, values
        return sentence

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.template, dict(self.values))


def _again(template: str, values: Mapping[str, object]) -> Sentence:
    return Sentence(template, **values)


def counted(singular: str, plural: str, n: int, **values: object) -> Sentence:
    """Return the sentence about one thing or about ``n``, which the placeholder ``n`` stands for."""
    return Sentence(singular if n == 1 else plural, n=n, **values)


def clauses(*parts: str) -> str:
    """Join clauses by semicolons; whichever of them are sentences stay so."""
    joined = parts[0]
    for part in parts[1:]:
        joined = Sentence("{clause}; {more}", clause=joined, more=part)
    return joined


def sentences(*parts: str) -> str:
    """Join whole sentences; whichever of them can be translated stay so."""
    joined = parts[0]
    for part in parts[1:]:
        joined = Sentence("{sentence} {more}", sentence=joined, more=part)
    return joined


def to_json(text: object) -> Any:
    """Return a text, or what stands in one, as JSON can hold it: of a sentence, what it was made from."""
    if isinstance(text, Sentence):
        return {"template": text.template, "values": {name: to_json(value) for name, value in text.values.items()}}
    return text if text is None or isinstance(text, str | int | float) else str(text)


def from_json(data: Any) -> Any:
    """Return the text that :func:`to_json` described."""
    if isinstance(data, dict):
        return Sentence(data["template"], **{name: from_json(value) for name, value in data["values"].items()})
    return data
