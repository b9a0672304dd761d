"""Documents that notice damage: JSON that carries its own SHA-256.

The checksum finds accidents (a flipped bit, a cut file, an edit by hand), not forgery. A document has exactly
one form in bytes, so that nothing in it can change unseen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from hotloop.errors import OutputError, SavedRunError

__all__ = ["SEALED_LIMIT_BYTES", "seal", "unseal"]

SEALED_LIMIT_BYTES = 64 * 2**20


def seal(document: Mapping[str, object]) -> bytes:
    """Return ``document`` as canonical JSON with its own checksum under the key "sha256".

    Parameters
    ----------
    document : mapping of str to JSON values
        Finite numbers only; without a key "sha256".

    Raises
    ------
    OutputError
        The document is larger than the 64 MiB that ``unseal`` reads.
    """
    assert "sha256" not in document, "the seal writes this key itself"
    sealed = _sealed(document)
    if len(sealed) > SEALED_LIMIT_BYTES:
        raise OutputError("cannot save the run", why="its description takes more than 64 MiB of JSON")
    return sealed


def unseal(data: bytes, what: str, do: str | None = None) -> dict[str, object]:
    """Return the document that ``seal`` wrote, without its checksum.

    Parameters
    ----------
    data : bytes
        Any byte changed, added or cut is found: the document is written again and compared.
    what : str
        The file's name, for the error.
    do : str, optional
        How to get a whole one, for the error.

    Raises
    ------
    SavedRunError
        The data are not what ``seal`` wrote.
    """
    try:
        if len(data) > SEALED_LIMIT_BYTES:
            raise ValueError("too large")
        document = json.loads(data.decode("utf-8"))
        del document["sha256"]
        unharmed = _sealed(document) == data
    # Arbitrary bytes raise these: bad text or numbers, not an object, no checksum, nested too deep.
    except (ValueError, AttributeError, TypeError, LookupError, RecursionError):
        unharmed = False
    if not unharmed:
        raise SavedRunError(
            f"'{what}' is damaged",
            why="its contents do not match its checksum",
            do=do,
        )
    assert isinstance(document, dict)
    return document


def _sealed(document: Mapping[str, object]) -> bytes:
    digest = hashlib.sha256(_canonical({**document, "sha256": ""})).hexdigest()
    return _canonical({**document, "sha256": digest})


def _canonical(document: Mapping[str, object]) -> bytes:
    """Write a document the one way there is, as the reader compares bytes; lone surrogates are escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"
