from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import chromium
import pytest


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium with an empty profile."""
    if chromium.PROGRAM is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    data = Path(tempfile.mkdtemp(prefix="hotloop-chromium-"))
    running = chromium.Chromium(data)
    yield running
    running.close()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def show(browser, tmp_path):
    """Open HTML in the browser and return its page."""
    pages = []

    def open_page(html: str, **options):
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(html, encoding="utf-8")
        pages.append(browser.open(path, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
