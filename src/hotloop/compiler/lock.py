"""One lock around LLVM, which hotloop's threads take in turn.

llvmlite locks each single call; a compilation is many. A process that forks waits for the thread that holds the
lock, so that the child never starts with half a compilation and a lock that nobody will open. The first import of
llvmlite happens under it for the same reason.
"""

from __future__ import annotations

import os
import threading

__all__ = ["LLVM_LOCK"]

# Reentrant: code that is collected as garbage during a compilation is released on the same thread.
LLVM_LOCK = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LLVM_LOCK.acquire, after_in_parent=LLVM_LOCK.release, after_in_child=LLVM_LOCK.release)
