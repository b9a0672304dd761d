"""Stand-ins: what a module's forward is given in place of tensors.

To torch and to ``isinstance`` they are tensors, and each function of torch that meets one hands itself over
(``__torch_function__``). They hold no numbers: whatever would need numbers is refused here.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

__all__ = ["BufferStandIn", "Follows", "ParameterStandIn", "RowCount", "Rows", "StandIn"]


class Follows(Protocol):
    """Who notes what stand-ins meet."""

    row_count: RowCount
    dtype: Any
    device: Any

    def refuse(self, why: str, instead: str | None = None) -> NoReturn:
        """Raise NotCaptured, naming the module whose forward runs."""

    def meet(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call of a function of torch, or of a method by its name."""

    def method(self, owner: StandIn, name: str) -> Any:
        """Return a method of a stand-in, to be called."""


class StandIn:
    """In place of a tensor."""

    __slots__ = ("follower",)
    # NumPy's scalars leave arithmetic to us.
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, follower: Follows):
        self.follower = follower

    @property
    def __class__(self) -> Any:
        import torch

        return torch.Tensor

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take over a function of torch that was called with a stand-in."""
        inside = [*args, *(kwargs or {}).values()]
        inside += [item for group in inside if isinstance(group, (list, tuple)) for item in group]
        follower = next(item.follower for item in inside if isinstance(item, StandIn))
        return follower.meet(function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        # torch and copy ask for such names to learn what a thing can do; no forward needs them.
        if name.startswith("_"):
            raise AttributeError(name)
        return self.follower.method(self, name)

    @property
    def dtype(self) -> Any:
        """That of all parameters."""
        return self.follower.dtype

    @property
    def device(self) -> Any:
        """That of the first parameter."""
        return self.follower.device


class Rows(StandIn):
    """A value of shape (rows, width); what works in place gives it another number.

    Parameters
    ----------
    follower : Follows
    number : int
        Of the value, as the graph counts.
    width : int
    """

    __slots__ = ("is_given", "number", "width")

    def __init__(self, follower: Follows, number: int, width: int):
        super().__init__(follower)
        self.number, self.width = number, width
        # Whether it is X itself, which nothing may change.
        self.is_given = number == 0

    @property
    def shape(self) -> tuple[Any, int]:
        """(rows, width); the number of rows is nothing to compute with."""
        return self.follower.row_count, self.width

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    def __len__(self) -> int:
        self.follower.refuse(*_ROW_COUNT)


class ParameterStandIn(StandIn):
    """A parameter of the model, or its transpose."""

    __slots__ = ("index", "is_transposed", "stored_shape")

    def __init__(self, follower: Follows, index: int, stored_shape: tuple[int, ...], is_transposed: bool = False):
        super().__init__(follower)
        self.index, self.stored_shape, self.is_transposed = index, stored_shape, is_transposed

    @property
    def shape(self) -> tuple[int, ...]:
        """As forward sees it."""
        return self.stored_shape[::-1] if self.is_transposed else self.stored_shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.stored_shape)

    @property
    def T(self) -> ParameterStandIn:
        """The transpose."""
        if len(self.stored_shape) != 2:
            self.follower.refuse("it transposes a parameter that is no matrix")
        return ParameterStandIn(self.follower, self.index, self.stored_shape, not self.is_transposed)

    @property
    def mT(self) -> ParameterStandIn:
        """The transpose."""
        return self.T

    def t(self) -> ParameterStandIn:
        """Return the transpose."""
        return self.T


class BufferStandIn(StandIn):
    """A buffer of the model; whatever meets one is refused."""

    __slots__ = ("name",)

    def __init__(self, follower: Follows, name: str):
        super().__init__(follower)
        self.name = name


class RowCount:
    """The number of rows: known when the program runs, not before."""

    def __init__(self, follower: Follows):
        self.follower = follower


_ROW_COUNT = ("what it computes depends on the number of rows", "write it for one row")
_NUMBERS = ("what it does depends on the numbers in a tensor", "write it with torch.nn.functional alone")


def _refusing(why: str, instead: str | None = None) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
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


for _name, _method in {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "matmul": "matmul"}.items():
    setattr(StandIn, f"__{_name}__", _operator(_method))
    setattr(StandIn, f"__r{_name}__", _reflected(_method))
    if _name != "matmul":
        setattr(StandIn, f"__i{_name}__", _operator(f"{_method}_"))
StandIn.__neg__ = lambda self: self.follower.meet("neg", (self,), {})  # type: ignore[attr-defined]

for _name in "bool int float index complex iter array contains".split():
    setattr(StandIn, f"__{_name}__", _refusing(*_NUMBERS))
for _name in "eq ne lt le gt ge and or xor invert rand ror rxor".split():
    setattr(StandIn, f"__{_name}__", _refusing("it compares tensors"))
for _name in "pow rpow ipow floordiv rfloordiv ifloordiv mod rmod imod abs pos round".split():
    setattr(StandIn, f"__{_name}__", _refusing(f"there is no rule for {_name}", "write it with + - * /"))
for _name in "getitem setitem delitem".split():
    setattr(StandIn, f"__{_name}__", _refusing("it takes a part of a tensor", "give hotloop those columns only"))
for _name in "deepcopy copy reduce_ex".split():
    setattr(StandIn, f"__{_name}__", _refusing("it copies a tensor"))
for _name in (
    "bool int float index iter len eq ne lt le gt ge add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv "
    "mod rmod pow rpow neg pos abs round"
).split():
    setattr(RowCount, f"__{_name}__", _refusing(*_ROW_COUNT))
