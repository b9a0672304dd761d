"""Functions of lanes that no instruction computes: straight-line code, without libm or branches."""

from hotloop.compiler.vector_math.error_function import erf
from hotloop.compiler.vector_math.exponential import exp, expm1
from hotloop.compiler.vector_math.logarithm import log
from hotloop.compiler.vector_math.logistic import sigmoid, softplus, tanh
from hotloop.compiler.vector_math.narrow import exp_up_to_zero, log_from_one

__all__ = ["erf", "exp", "exp_up_to_zero", "expm1", "log", "log_from_one", "sigmoid", "softplus", "tanh"]
