"""Functions of lanes that no instruction computes: straight-line code, without libm, tables or branches."""

from hotloop.compiler.vector_math.exponential import exp
from hotloop.compiler.vector_math.logarithm import log

__all__ = ["exp", "log"]
