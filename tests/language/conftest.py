from __future__ import annotations

import pytest

from hotloop.language import reader


@pytest.fixture
def undecided(monkeypatch):
    """Let the language be decided anew."""
    monkeypatch.setattr(reader, "_reading", None)
