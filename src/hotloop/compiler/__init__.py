"""Programs become machine code: ``pipeline.py`` lists the passes; here stand the names of what comes after them."""

from hotloop.compiler.cache import ObjectCache
from hotloop.compiler.cache_folder import cache_directory
from hotloop.compiler.cache_keys import cache_key
from hotloop.compiler.link import Library, link
from hotloop.compiler.machine_code import assembly, object_code, optimised_ir
from hotloop.compiler.target import TARGET_NAMES, Target, host_target, named_target

__all__ = [
    "TARGET_NAMES",
    "Library",
    "ObjectCache",
    "Target",
    "assembly",
    "cache_directory",
    "cache_key",
    "host_target",
    "link",
    "named_target",
    "object_code",
    "optimised_ir",
]
