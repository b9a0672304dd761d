"""Stand-ins: what a module's forward is given in place of tensors.

They are tensors of torch's "meta" device: they hold no numbers, and whatever would need numbers is refused here. What
functions of torch make of them is the business of ``follower.py``. Code of torch's own that looks past that finds a
tensor still, and what it returns is no stand-in, which is refused where it is used.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol, Self

import torch

__all__ = ["BufferStandIn", "Follows", "ParameterStandIn", "RowCount", "Rows", "StandIn"]


class Follows(Protocol):
    """Who notes what stand-ins meet."""

    row_count: RowCount
    dtype: torch.dtype
    device: torch.device

    def refuse(self, why: str, instead: str | None = None) -> NoReturn:
        """Raise NotCaptured, naming the module whose forward runs."""

    def meet(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call of a function of torch, or of a method by its name."""


class StandIn(torch.Tensor):
    """In place of a tensor."""

    # NumPy's scalars leave arithmetic to us.
    __array_ufunc__ = None
    __hash__ = object.__hash__
    follower: Follows

    @classmethod
    def _of_shape(cls, follower: Follows, shape: tuple[int, ...]) -> Self:
        with torch._C.DisableTorchFunction():
            made: Self = torch.Tensor._make_subclass(cls, torch.empty(shape, dtype=follower.dtype, device="meta"))
        made.follower = follower
        return made

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Refuse a function that was not handed over: whoever follows sees those of one thread only."""
        inside = [*args, *(kwargs or {}).values()]
        inside += [item for group in inside if isinstance(group, (list, tuple)) for item in group]
        follower = next(item.follower for item in inside if isinstance(item, StandIn))
        follower.refuse("it computes in another thread", "compute in one thread")

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        """That of all parameters."""
        return self.follower.dtype

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """That of the first parameter."""
        return self.follower.device

    def __repr__(self) -> str:  # type: ignore[override]
        return "<a tensor without numbers>"

    def __neg__(self) -> Any:
        return self.follower.meet("neg", (self,), {})


class Rows(StandIn):
    """A value of shape (rows, width); what works in place gives it another number.

    Attributes
    ----------
    number : int
        Of the value, as the graph counts.
    width : int
    is_given : bool
        Whether it is X itself, which nothing may change.
    """

    number: int
    width: int
    is_given: bool

    @classmethod
    def make(cls, follower: Follows, number: int, width: int) -> Rows:
        """Return the stand-in of a value."""
        made = cls._of_shape(follower, (0, width))
        made.number, made.width, made.is_given = number, width, number == 0
        return made

    @property
    def shape(self) -> tuple[Any, int]:  # type: ignore[override]
        """(rows, width); the number of rows is nothing to compute with."""
        return self.follower.row_count, self.width

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """2."""
        return 2

    def __len__(self) -> NoReturn:
        self.follower.refuse(*_ROW_COUNT)

    # torch wants to know sizes before it hands these over, and the number of rows is none.
    def view(self, *shape: Any) -> Any:
        """Return the same rows, if the shape is theirs."""
        return self.follower.meet("view", (self, *shape), {})

    def reshape(self, *shape: Any) -> Any:
        """Return the same rows, if the shape is theirs."""
        return self.follower.meet("view", (self, *shape), {})


class ParameterStandIn(StandIn):
    """A parameter of the model, or its transpose."""

    number: int
    stored_shape: tuple[int, ...]
    is_transposed: bool
    # What isinstance(value, torch.nn.Parameter) goes by.
    _is_param = True

    @classmethod
    def make(
        cls, follower: Follows, number: int, stored_shape: tuple[int, ...], is_transposed: bool = False
    ) -> ParameterStandIn:
        """Return the stand-in of the parameter of that number."""
        made = cls._of_shape(follower, stored_shape[::-1] if is_transposed else stored_shape)
        made.number, made.stored_shape, made.is_transposed = number, stored_shape, is_transposed
        return made

    @property
    def shape(self) -> torch.Size:  # type: ignore[override]
        """As forward sees it."""
        return torch.Size(self.stored_shape[::-1] if self.is_transposed else self.stored_shape)

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """Number of axes."""
        return len(self.stored_shape)

    @property
    def T(self) -> ParameterStandIn:  # type: ignore[override]
        """The transpose."""
        if len(self.stored_shape) != 2:
            self.follower.refuse("it transposes a parameter that is no matrix")
        return ParameterStandIn.make(self.follower, self.number, self.stored_shape, not self.is_transposed)

    @property
    def mT(self) -> ParameterStandIn:  # type: ignore[override]
        """The transpose."""
        return self.T

    def t(self) -> ParameterStandIn:
        """Return the transpose."""
        return self.T

    def __len__(self) -> int:
        return self.shape[0]


class BufferStandIn(StandIn):
    """A buffer of the model; whatever meets one is refused."""

    buffer_name: str

    @classmethod
    def make(cls, follower: Follows, name: str) -> BufferStandIn:
        """Return the stand-in of the buffer of that name."""
        made = cls._of_shape(follower, ())
        made.buffer_name = name
        return made


class RowCount:
    """The number of rows: known when the program runs, not before."""

    def __init__(self, follower: Follows):
        self.follower = follower


_ROW_COUNT = ("what it computes depends on the number of rows", "write it for one row")
_NUMBERS = ("what it does depends on the numbers in a tensor", "write it with torch.nn.functional alone")


_REFUSED = {
    _NUMBERS: "bool int float index complex iter array contains",
    ("it compares tensors", None): "eq ne lt le gt ge and or xor invert rand ror rxor",
    ("there is no rule for this operator", "write it with + - * /"): (
        "pow rpow ipow floordiv rfloordiv ifloordiv mod rmod imod divmod abs pos round"
    ),
    ("it takes or changes a part of a tensor", "give hotloop those columns only"): "getitem setitem delitem",
    ("it copies a tensor as an object", "use clone()"): "deepcopy copy reduce_ex",
}
_ROW_COUNT_REFUSES = (
    "bool int float index iter len eq ne lt le gt ge add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv "
    "mod rmod divmod pow rpow neg pos abs round hash format str repr"
)


def _refusing(why: str, instead: str | None = None) -> Any:
    def refuse(self: StandIn | RowCount, *args: Any, **kwargs: Any) -> NoReturn:
        self.follower.refuse(why, instead)

    return refuse


def _operator(method: str) -> Any:
    def operate(self: StandIn, other: Any) -> Any:
        return self.follower.meet(method, (self, other), {})

    return operate


def _reflected(method: str) -> Any:
    def operate(self: StandIn, other: Any) -> Any:
        return self.follower.meet(method, (other, self), {})

    return operate


def _install() -> None:
    """Give the classes their operators: those that are noted, and those that say why they are not covered."""
    for name, method in {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "matmul": "matmul"}.items():
        setattr(StandIn, f"__{name}__", _operator(method))
        setattr(StandIn, f"__r{name}__", _reflected(method))
        if name != "matmul":
            setattr(StandIn, f"__i{name}__", _operator(f"{method}_"))
    for reason, names in _REFUSED.items():
        for name in names.split():
            setattr(StandIn, f"__{name}__", _refusing(*reason))
    for name in _ROW_COUNT_REFUSES.split():
        setattr(RowCount, f"__{name}__", _refusing(*_ROW_COUNT))


_install()
