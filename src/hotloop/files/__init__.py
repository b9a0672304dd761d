"""Writing and reading files safely: whole or absent, and never damaged unseen."""

from __future__ import annotations

from hotloop.files.atomic import check_writable, publish_directory, write_atomically
from hotloop.files.claim import claim
from hotloop.files.paths import as_path
from hotloop.files.sealed import SEALED_LIMIT_BYTES, seal, unseal

__all__ = [
    "SEALED_LIMIT_BYTES",
    "as_path",
    "check_writable",
    "claim",
    "publish_directory",
    "seal",
    "unseal",
    "write_atomically",
]
