"""How large rounding errors may be: the sums of absolute terms of a loss and its gradients.

A gradient that is zero but for rounding, such as that of a loss whose rows cancel, is known to no digit; so errors are
measured against what was added up. In a torch function mode, each operation hands on absolute gradients: every product
and sum of the backward pass is then a sum of absolute terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Scales", "scales_of"]

_F = torch.nn.functional
# Within this distance from 0 activations add up numbers that are no multiples of their argument or result, as GELU does
# in x (1 + erf(x / sqrt(2))): 1 + erf loses digits below 0. Beyond it, what is added is 0, or 1 and lost.
_REACH = 10.0
# Activations whose derivative jumps where its argument is zero, so that rounding may choose the other side.
_KINKS = {_F.relu, _F.leaky_relu, _F.elu, _F.softplus}

# What their derivatives are added up from, of their result.
_SATURATING = {
    **dict.fromkeys((torch.tanh, torch.Tensor.tanh, _F.tanh), lambda y: 1 + y * y),
    **dict.fromkeys((torch.sigmoid, torch.Tensor.sigmoid, _F.sigmoid), lambda y: y * (1 + y)),
}

_PRODUCTS = {torch.matmul, torch.mm, torch.Tensor.matmul, torch.Tensor.mm, torch.Tensor.__matmul__}
_MULTIPLY = {torch.mul, torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__}
_DIVIDE = {torch.div, torch.Tensor.div, torch.Tensor.__truediv__}
_DIVIDE_BY = {torch.Tensor.__rdiv__, torch.Tensor.__rtruediv__}


class _Linear(torch.autograd.Function):
    """A linear layer that hands on sums of absolute products, of all that its input was added up from."""

    @staticmethod
    def forward(context, x, weight, bias, size):
        context.save_for_backward(size, weight)
        context.has_bias = bias is not None
        return _F.linear(x, weight, bias)

    @staticmethod
    def backward(context, g):
        size, weight = context.saved_tensors
        g = g.abs()
        return g @ weight.abs(), g.T @ size, g.sum(0) if context.has_bias else None, None


class _Product(torch.autograd.Function):
    """A product: what a factor's gradient is multiplied by is all that the other factor was added up from."""

    @staticmethod
    def forward(context, a, b, size_a, size_b):
        context.save_for_backward(size_a, size_b)
        return a * b

    @staticmethod
    def backward(context, g):
        size_a, size_b = context.saved_tensors
        g = g.abs()
        return g * size_b, g * size_a, None, None


class _Quotient(torch.autograd.Function):
    """A quotient, whose gradients depend on the value of b, which may have lost digits when it was added up.

    To first order, an error of ``e size(b)`` in b and of ``e size(a)`` in a makes these of the gradients::

        d(a/b)/da = 1 / b       e size(b) / b^2
        d(a/b)/db = -a / b^2    e size(a) / b^2 + 2 e |a| size(b) / |b|^3

    For x / (1.5 + r^2) with r a sum of terms of 1e18 that nearly cancel to 1e13, r is known to 1e-11, and so are the
    quotient and its gradients, however exactly they are computed. Compiled code and torch add up r in different orders.
    """

    @staticmethod
    def forward(context, a, b, size_a, size_b):
        context.save_for_backward(a, b, size_a, size_b)
        return a / b

    @staticmethod
    def backward(context, g):
        a, b, size_a, size_b = context.saved_tensors
        g, b = g.abs(), b.abs()
        return g * size_b / b / b, g * (size_a + 2 * a.abs() * size_b / b) / b / b, None, None


class _Saturating(torch.autograd.Function):
    """A function whose derivative is computed from its result: ``1 - y^2`` is added up from 1 and ``y^2``.

    Of a tanh of 0.99999, its last digit makes a derivative of 2e-5 that is known to 1e-11.
    """

    @staticmethod
    def forward(context, x, func):
        y = func(x)
        context.save_for_backward(y)
        context.terms = _SATURATING[func]
        return y

    @staticmethod
    def backward(context, g):
        (y,) = context.saved_tensors
        return g.abs() * context.terms(y), None


class _Absolute(torch.autograd.Function):
    """The identity, whose gradient is absolute."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, g):
        return g.abs()


@dataclass
class Scales:
    """What errors are measured against.

    Parameters
    ----------
    gradients : list of tensors
        For each parameter; zeros where it has no gradient.
    loss : float
    is_close_to_kink : bool
        Whether a float32 rounding error may put a row on the other side of a kink.
    """

    gradients: list[torch.Tensor]
    loss: float
    is_close_to_kink: bool
    is_at_jump: bool


class _Mode(TorchFunctionMode):
    def __init__(self, margin: float):
        super().__init__()
        self.margin = margin
        self.is_close = self.is_at_jump = False
        self.magnitudes: dict[int, torch.Tensor] = {}
        self._alive: list[torch.Tensor] = []

    def magnitude(self, x: torch.Tensor) -> torch.Tensor:
        return self.magnitudes.get(id(x), x.detach().abs())

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is _F.linear:
            x, weight, *rest = args
            bias = rest[0] if rest else kwargs.get("bias")
            return self._linear(x, weight, bias)
        if func in _PRODUCTS:
            return self._linear(args[0], args[1].T, None)
        if func in _KINKS:
            self._look(func, *args[: 3 if func is _F.softplus else 1])
        rows = next((arg.shape for arg in _tensors(args) if arg.dim() == 2), None)
        if rows is not None and func in _MULTIPLY | _DIVIDE | _DIVIDE_BY:
            return self._of_two(func, *args, rows)
        if func in _SATURATING and rows is not None:
            y = _Saturating.apply(self._watched(args[0], rows), func)
        else:
            y = func(*(self._watched(arg, rows) for arg in args), **kwargs)
        if isinstance(y, torch.Tensor) and y.requires_grad and y.dim() == 2:
            self._known(y, torch.maximum(self._size(func, args, kwargs, y.detach()), y.detach().abs()))
        return y

    def _of_two(self, func, a, b, rows):
        """Return a product or quotient; its size is what it was added up from, to first order."""
        if func in _DIVIDE_BY:
            a, b = b, a
        a, b = (arg if isinstance(arg, torch.Tensor) else torch.full(rows, arg, dtype=torch.float64) for arg in (a, b))
        size_a, size_b = (self.magnitude(arg).expand(rows) for arg in (a, b))
        watched = self._watched(a, rows), self._watched(b, rows)
        if func in _MULTIPLY:
            size = size_a * b.detach().abs() + a.detach().abs() * size_b
            return self._known(_Product.apply(*watched, size_a, size_b), size)
        size = (size_a + (a / b).detach().abs() * size_b) / b.detach().abs()
        return self._known(_Quotient.apply(*watched, size_a, size_b), size)

    def _linear(self, x, weight, bias):
        y = _Linear.apply(x, weight, bias, self.magnitude(x))
        size = self.magnitude(x) @ weight.detach().abs().T
        return self._known(y, size if bias is None else size + bias.detach().abs())

    def _size(self, func, args, kwargs, y):
        """Return what a result was added up from."""
        sizes = [self.magnitude(arg) for arg in _tensors(args)]
        if func is torch.cat:
            return torch.cat(sizes, 1)
        if len(sizes) == 1:
            # An activation: its derivative is not much more than 1, and where it saturates it forgets the argument.
            return torch.minimum(sizes[0], _slope(func, args, kwargs) * sizes[0] + y.abs() + _REACH)
        return sum(sizes, start=torch.zeros_like(y))

    def _look(self, func, x, beta=1.0, threshold=20.0):
        at = x.detach()
        if func is _F.softplus:
            # Beyond the usual threshold the two sides are the same to all digits.
            at = at * beta - threshold if threshold < 20 else torch.ones_like(at)
        close = bool((at.abs() < self.margin * (self.magnitude(x))).any())
        self.is_close |= close
        self.is_at_jump |= close and func is _F.softplus

    def _watched(self, arg, rows):
        if isinstance(arg, torch.Tensor):
            # A parameter of its own for each row first: its gradients are absolute before they are summed.
            every = arg.expand(rows) if rows is not None and arg.dim() < 2 else arg
            return _Absolute.apply(every) if arg.requires_grad else arg
        if isinstance(arg, (list, tuple)):
            return type(arg)(self._watched(one, rows) for one in arg)
        return arg

    def _known(self, y, size):
        self.magnitudes[id(y)] = size
        self._alive.append(y)
        return y


def _slope(func, args, kwargs):
    """Return the absolute derivative of an elementwise function of one tensor."""
    with torch.enable_grad():
        apart = [arg.detach().clone().requires_grad_() if isinstance(arg, torch.Tensor) else arg for arg in args]
        (x,) = _tensors(apart)
        # In place, a leaf that needs a gradient is refused.
        y = func(*(arg * 1 if arg is x else arg for arg in apart), **kwargs)
        return torch.autograd.grad(y.sum(), x)[0].abs()


def _tensors(args):
    for arg in args:
        if isinstance(arg, torch.Tensor):
            yield arg
        elif isinstance(arg, (list, tuple)):
            yield from _tensors(arg)


def scales_of(model, X, y, row_loss, weight, output_gradient, margin: float) -> Scales:
    """Return the scales of one step.

    Parameters
    ----------
    model : float64 module
    X, y, weight : tensors
        The batch, float64.
    row_loss : RowLoss
    output_gradient : tensor
        Of the loss with respect to the model's output.
    margin : float
        How close to a kink is close, in parts of what was added up.
    """
    mode = _Mode(margin)
    parameters = [p for p in model.parameters() if p.requires_grad]
    with mode:
        output = model(X)
    size = mode.magnitude(output)
    normaliser = row_loss.normaliser(output.detach(), y, weight)
    per_row = torch.ones(len(X), dtype=X.dtype) if weight is None else weight
    g, close = _loss_terms(row_loss, output.detach(), size, y, margin)
    g = (g * (per_row / normaliser).reshape(-1, 1)).abs() + output_gradient.abs()
    found = torch.autograd.grad(output, parameters, g, allow_unused=True)
    gradients = [torch.zeros_like(p) if one is None else one for p, one in zip(parameters, found, strict=True)]
    return Scales(gradients, float((g * size).sum()), mode.is_close or close, mode.is_at_jump)


def _loss_terms(row_loss, x, size, y, margin):
    """Return the absolute terms of the loss's gradient at the output, a row's share left out; and whether at a kink."""
    each = row_loss.each
    if row_loss.kind == "classes":
        largest = 1.0 if row_loss.class_weight is None else float(row_loss.class_weight.max())
        return torch.full_like(x, largest), False
    if row_loss.name == "BCEWithLogitsLoss":
        largest = 1.0 if each.pos_weight is None else float(each.pos_weight.max())
        return torch.full_like(x, max(largest, 1.0)), False
    distance, terms = (x - y).abs(), size + y.abs()
    if row_loss.name == "MSELoss":
        return 2 * terms, False
    edge = {"L1Loss": 0.0, "HuberLoss": None, "SmoothL1Loss": 0.0 if getattr(each, "beta", 1.0) == 0 else None}
    at = edge[row_loss.name]
    close = at is not None and bool(((distance - at).abs() < margin * terms).any())
    if row_loss.name == "SmoothL1Loss" and each.beta:
        return torch.ones_like(x) + terms / each.beta, close
    if row_loss.name == "HuberLoss":
        return each.delta + terms, close
    return torch.ones_like(x), close
