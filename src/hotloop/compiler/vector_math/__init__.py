"""Functions of lanes that no instruction computes: straight-line code, without libm, tables or branches."""

from hotloop.compiler.vector_math.exponential import exp
from hotloop.compiler.vector_math.logarithm import log
from hotloop.compiler.vector_math.narrow import exp_up_to_zero, log_from_one

__all__ = ["exp", "exp_up_to_zero", "log", "log_from_one"]
