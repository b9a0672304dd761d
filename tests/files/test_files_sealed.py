"""A sealed document comes back exactly, or not at all."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotloop.errors import OutputError, SavedRunError
from hotloop.files import SEALED_LIMIT_BYTES, seal, sealed, unseal

DOCUMENT = {"format": 1, "name": '花 "quoted" \u2028', "numbers": [0.1, -0.0, 1e-300, 2**70], "none": None}

json_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reseal(text):
    """Give a text that is no canonical document a checksum that fits it."""
    blank = text.replace("CHECKSUM", "")
    return text.replace("CHECKSUM", hashlib.sha256(blank.encode()).hexdigest()).encode()


@pytest.mark.no_cover
@settings(max_examples=50)
@given(st.dictionaries(st.text().filter(lambda key: key != "sha256"), json_documents, max_size=5))
def test_what_is_sealed_comes_back(document):
    assert unseal(seal(document), "x") == document


def test_a_person_can_read_it():
    data = seal(DOCUMENT)
    assert "花" in data.decode()
    assert (
        json.loads(data)["sha256"] == hashlib.sha256(data.replace(json.loads(data)["sha256"].encode(), b"")).hexdigest()
    )


def test_every_flipped_bit_and_every_other_byte_is_refused():
    data = seal(DOCUMENT)
    for position in range(len(data)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            changed = bytearray(data)
            changed[position] ^= change
            with pytest.raises(SavedRunError, match=r"'run\.json' is damaged"):
                unseal(bytes(changed), "run.json")


def test_every_cut_and_every_added_byte_is_refused():
    data = seal(DOCUMENT)
    for position in range(len(data) + 1):
        damaged = [data[:position], data[:position] + data[position + 1 :]] if position < len(data) else []
        damaged += [data[:position] + extra + data[position:] for extra in (b" ", b"\n", b"0", b"\0", b"\xff")]
        for one in damaged:
            with pytest.raises(SavedRunError):
                unseal(one, "run.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"sha256": 5}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b"\xef\xbb\xbf" + seal({}),
        seal({"a": "b"}).decode().encode("utf-16"),
        reseal('{\n  "a": NaN,\n  "sha256": "CHECKSUM"\n}\n'),
        reseal('{\n  "a": 1e999,\n  "sha256": "CHECKSUM"\n}\n'),
        reseal('{\n  "a": 1,\n  "a": 2,\n  "sha256": "CHECKSUM"\n}\n'),
        reseal('{"a": 1, "sha256": "CHECKSUM"}'),
        reseal('{\n  "sha256": "CHECKSUM",\n  "a": 1\n}\n'),
        reseal('{\n  "a": 1.0e0,\n  "sha256": "CHECKSUM"\n}\n'),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_seal_never_writes_is_refused(data):
    with pytest.raises(SavedRunError) as caught:
        unseal(data, "run.json")
    assert caught.value.one_line.startswith("'run.json' is damaged.")


def test_the_checksum_stands_for_the_whole():
    """The reference for reseal above: the canonical form with the right checksum is accepted."""
    assert unseal(reseal('{\n  "a": 1,\n  "sha256": "CHECKSUM"\n}\n'), "x") == {"a": 1}


def test_too_large_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(sealed.json, "loads", lambda text: pytest.fail("parsed"))
    with pytest.raises(SavedRunError):
        unseal(bytes(SEALED_LIMIT_BYTES + 1), "run.json")


def test_nothing_is_sealed_that_could_not_be_read(monkeypatch):
    monkeypatch.setattr(sealed, "SEALED_LIMIT_BYTES", 1000)
    with pytest.raises(OutputError, match="cannot save"):
        seal({"a": "x" * 1000})


def test_a_path_that_is_no_text_survives():
    document = {"path": "caf\udce9"}  # what Python makes of a Latin-1 file name
    assert unseal(seal(document), "x") == document
    json.loads(seal(document).decode("utf-8"))
