from __future__ import annotations

import pytest

from hotloop.language import reader


@pytest.fixture
def in_chinese(monkeypatch):
    """Show texts in Chinese while a test lasts."""
    monkeypatch.setattr(reader, "_reading", None)
    reader.use("zh")


@pytest.fixture
def undecided(monkeypatch):
    """Let the language be decided anew."""
    monkeypatch.setattr(reader, "_reading", None)
