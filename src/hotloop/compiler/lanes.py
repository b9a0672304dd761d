"""Writing LLVM IR for lanes: each value stands for one number of each row that is worked on at once.

A lane is a row. On a CPU the rows of one value are a SIMD vector (``<16 x float>``); on a GPU each would be a thread,
and the same text with the type ``float`` would do. Emitters know lanes only through this class, which appends text:
building IR through objects takes longer than compiling it.

::

    %7 = load <16 x float>, ptr %6, align 64
    %8 = call contract nsz <16 x float> @llvm.fmuladd.v16f32(<16 x float> %7, <16 x float> %5, <16 x float> %4)

Values are strings: a register (``%8``) or a constant, as IR writes them. Flags: ``contract nsz`` on arithmetic in
general; none where :attr:`Lanes.exact` is set, as inside vector maths, whose range reductions reordering destroys.
Never ``nnan`` or ``ninf``: NaN and infinity must survive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

__all__ = ["Body", "Lanes", "Loop"]

_LLVM = {"f32": "float", "f64": "double"}


class Loop:
    """A loop under construction: its index and the values it carries from turn to turn."""

    __slots__ = ("carried", "index")

    def __init__(self, index: str, carried: list[str]):
        self.index, self.carried = index, carried


class Body:
    """The text of one LLVM function while it is written."""

    __slots__ = ("declared", "label", "lines", "n_labels", "n_registers")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.n_registers = 0
        self.n_labels = 0
        self.label = "entry"


class Lanes:
    """Appends instructions for lanes of one element to a function's body.

    Parameters
    ----------
    element : str
        "f32" or "f64".
    width : int
        Rows in a value.
    body : Body, optional
        Where to append; a new one by default.
    lookup : str
        The intrinsic that picks lanes of a vector by number; "" if the target has none.
    """

    def __init__(self, element: str, width: int, body: Body | None = None, *, lookup: str = ""):
        self.element, self.width, self.lookup = element, width, lookup
        self.scalar = _LLVM[element]
        self.size_bytes = 4 if element == "f32" else 8
        self.real = self._vector(self.scalar)
        self.int = self._vector("i32" if element == "f32" else "i64")
        self.mask = self._vector("i1")
        self.intrinsic = f"v{width}{element}" if width > 1 else element
        self.exact = False
        self.body = body or Body()
        self.lines = self.body.lines
        self.declared = self.body.declared

    def of_width(self, width: int) -> Lanes:
        """Return a writer of the same body for another number of lanes; 1 for single numbers."""
        return Lanes(self.element, width, self.body)

    def _vector(self, scalar: str) -> str:
        return f"<{self.width} x {scalar}>" if self.width > 1 else scalar

    # -- text ------------------------------------------------------------------------------------------------------

    def register(self, text: str) -> str:
        """Append an instruction and return the register that holds its result."""
        self.body.n_registers += 1
        name = f"%v{self.body.n_registers}"
        self.lines.append(f"  {name} = {text}")
        return name

    def line(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append("  " + text)

    def call(self, function: str, result: str, *operands: tuple[str, str], flags: str = "") -> str:
        """Call an intrinsic; each operand is (type, value)."""
        self.declared.add(f"declare {result} @{function}({', '.join(type_ for type_, _ in operands)})")
        listed = ", ".join(f"{type_} {value}" for type_, value in operands)
        return self.register(f"call {flags}{result} @{function}({listed})")

    # -- constants -------------------------------------------------------------------------------------------------

    def number(self, value: float) -> str:
        """Return a real constant without lanes, as IR writes it: the bits of a double."""
        if self.element == "f32":
            value = struct.unpack("<f", struct.pack("<f", value))[0] if abs(value) <= 3.4028235677973366e38 else value
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"

    def constant(self, value: float) -> str:
        """Return a real constant, the same in all lanes."""
        return f"splat ({self.scalar} {self.number(value)})" if self.width > 1 else self.number(value)

    def integer(self, value: int) -> str:
        """Return an integer constant, the same in all lanes."""
        bits = 32 if self.element == "f32" else 64
        value = (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
        return f"splat (i{bits} {value})" if self.width > 1 else str(value)

    # -- arithmetic of lanes -----------------------------------------------------------------------------------------

    @property
    def _flags(self) -> str:
        return "" if self.exact else "contract nsz "

    def add(self, a: str, b: str) -> str:
        """Return a + b."""
        return self.register(f"fadd {self._flags}{self.real} {a}, {b}")

    def sub(self, a: str, b: str) -> str:
        """Return a - b."""
        return self.register(f"fsub {self._flags}{self.real} {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        """Return a * b."""
        return self.register(f"fmul {self._flags}{self.real} {a}, {b}")

    def div(self, a: str, b: str) -> str:
        """Return a / b."""
        return self.register(f"fdiv {self._flags}{self.real} {a}, {b}")

    def fma(self, a: str, b: str, c: str) -> str:
        """Return a * b + c, rounded once where the target can."""
        operands = ((self.real, a), (self.real, b), (self.real, c))
        return self.call(f"llvm.fmuladd.{self.intrinsic}", self.real, *operands, flags=self._flags)

    def neg(self, a: str) -> str:
        """Return -a."""
        return self.register(f"fneg {self.real} {a}")

    def abs(self, a: str) -> str:
        """Return the absolute value."""
        return self.call(f"llvm.fabs.{self.intrinsic}", self.real, (self.real, a))

    def copysign(self, size: str, sign: str) -> str:
        """Return ``size`` with the sign of ``sign``."""
        return self.call(f"llvm.copysign.{self.intrinsic}", self.real, (self.real, size), (self.real, sign))

    def sqrt(self, a: str) -> str:
        """Return the square root, correctly rounded."""
        return self.call(f"llvm.sqrt.{self.intrinsic}", self.real, (self.real, a))

    def compare(self, how: str, a: str, b: str) -> str:
        """Compare reals: "olt", "ole", "ogt", "oge", "oeq", "une", "uno"; the "u" forms hold for NaN too."""
        return self.register(f"fcmp {how} {self.real} {a}, {b}")

    def select(self, mask: str, a: str, b: str) -> str:
        """Return a where the mask holds, b elsewhere."""
        return self.register(f"select {self.mask} {mask}, {self.real} {a}, {self.real} {b}")

    def look_up(self, table: Sequence[float], places: str) -> str:
        """Return table[place] for integers' lowest bits; the table has a number for each lane, the target `lookup`."""
        assert self.lookup, "the target has no such instruction"
        assert len(table) == self.width, "a number for each lane"
        numbers = ", ".join(f"{self.scalar} {self.number(value)}" for value in table)
        return self.call(self.lookup, self.real, (self.real, f"<{numbers}>"), (self.int, places))

    # -- integers as wide as the reals (i32 beside f32, i64 beside f64) -----------------------------------------------

    def bits(self, a: str) -> str:
        """Return a real's bits as an integer."""
        return self.register(f"bitcast {self.real} {a} to {self.int}")

    def from_bits(self, a: str) -> str:
        """Return the real that has these bits."""
        return self.register(f"bitcast {self.int} {a} to {self.real}")

    def int_op(self, op: str, a: str, b: str) -> str:
        """Apply an integer instruction: "add", "sub", "mul", "and", "or", "xor", "shl", "lshr", "ashr"."""
        return self.register(f"{op} {self.int} {a}, {b}")

    def int_compare(self, how: str, a: str, b: str) -> str:
        """Compare integers: "eq", "ne", "slt", "ult", ..."""
        return self.register(f"icmp {how} {self.int} {a}, {b}")

    def int_select(self, mask: str, a: str, b: str) -> str:
        """Return the integer a where the mask holds, b elsewhere."""
        return self.register(f"select {self.mask} {mask}, {self.int} {a}, {self.int} {b}")

    def to_real(self, a: str) -> str:
        """Convert a signed integer to a real."""
        return self.register(f"sitofp {self.int} {a} to {self.real}")

    def mask_op(self, op: str, a: str, b: str) -> str:
        """Combine masks: "and", "or", "xor"."""
        return self.register(f"{op} {self.mask} {a}, {b}")

    def rounded(self, value: str) -> str:
        """Return a real as it would come back from memory: it is not contracted with what follows."""
        return self.call(f"llvm.arithmetic.fence.{self.intrinsic}", self.real, (self.real, value))

    # -- memory ------------------------------------------------------------------------------------------------------

    def offset(self, pointer: str, n_bytes: str | int) -> str:
        """Return a pointer moved by a number of bytes: a constant or an i64 register."""
        if n_bytes == 0:
            return pointer
        return self.register(f"getelementptr i8, ptr {pointer}, i64 {n_bytes}")

    def load(self, pointer: str) -> str:
        """Load one value for each lane, aligned to the vector."""
        return self.register(f"load {self.real}, ptr {pointer}, align {self.width * self.size_bytes}")

    def store(self, value: str, pointer: str) -> None:
        """Store one value for each lane, aligned to the vector."""
        self.line(f"store {self.real} {value}, ptr {pointer}, align {self.width * self.size_bytes}")

    def load_first(self, pointer: str, n: int, rest: str = "poison") -> str:
        """Load the first n lanes, aligned to a number only; the others are ``rest``: anything, or "zeroinitializer"."""
        kind = self._vector_of(n)
        part = self.register(f"load {kind}, ptr {pointer}, align {self.size_bytes}")
        if n == self.width:
            return part
        if n == 1:
            return self.register(f"insertelement {self.real} {rest}, {kind} {part}, i64 0")
        # Place n is the first one of the second operand.
        places = ", ".join(f"i32 {min(lane, n)}" for lane in range(self.width))
        return self.register(f"shufflevector {kind} {part}, {kind} {rest}, <{self.width} x i32> <{places}>")

    def store_first(self, value: str, pointer: str, n: int) -> None:
        """Store the first n lanes, aligned to a number only."""
        part = value
        if n == 1 < self.width:
            part = self.register(f"extractelement {self.real} {value}, i64 0")
        elif n < self.width:
            part = self.shuffle(value, "poison", range(n))
        self.line(f"store {self._vector_of(n)} {part}, ptr {pointer}, align {self.size_bytes}")

    def _vector_of(self, n: int) -> str:
        return f"<{n} x {self.scalar}>" if n > 1 else self.scalar

    def load_scalar(self, pointer: str) -> str:
        """Load a single real."""
        return self.register(f"load {self.scalar}, ptr {pointer}, align {self.size_bytes}")

    def store_scalar(self, value: str, pointer: str) -> None:
        """Store a single real."""
        self.line(f"store {self.scalar} {value}, ptr {pointer}, align {self.size_bytes}")

    def spread(self, value: str) -> str:
        """Return a single real in all lanes."""
        if self.width == 1:
            return value
        first = self.register(f"insertelement {self.real} poison, {self.scalar} {value}, i64 0")
        return self.register(
            f"shufflevector {self.real} {first}, {self.real} poison, <{self.width} x i32> zeroinitializer"
        )

    def spread_integer(self, value: str) -> str:
        """Return a single integer in all lanes."""
        if self.width == 1:
            return value
        kind = self.int.split(" x ")[1][:-1]
        first = self.register(f"insertelement {self.int} poison, {kind} {value}, i64 0")
        return self.register(
            f"shufflevector {self.int} {first}, {self.int} poison, <{self.width} x i32> zeroinitializer"
        )

    def lane_numbers(self) -> str:
        """Return the constant 0, 1, 2, ... along the lanes."""
        if self.width == 1:
            return "0"
        kind = self.int.split(" x ")[1][:-1]
        return f"<{', '.join(f'{kind} {lane}' for lane in range(self.width))}>"

    def shuffle(self, a: str, b: str, places: Sequence[int]) -> str:
        """Pick lanes of two vectors by place: those of ``b`` count on from those of ``a``; -1 is any."""
        listed = ", ".join("i32 poison" if place < 0 else f"i32 {place}" for place in places)
        return self.register(f"shufflevector {self.real} {a}, {self.real} {b}, <{len(places)} x i32> <{listed}>")

    # -- control -----------------------------------------------------------------------------------------------------

    def int_add(self, a: str | int, b: str | int) -> str:
        """Return a + b of two i64."""
        return self.register(f"add nsw i64 {a}, {b}")

    def int_mul(self, a: str | int, b: str | int) -> str:
        """Return a * b of two i64."""
        return self.register(f"mul nsw i64 {a}, {b}")

    def int_min(self, a: str | int, b: str | int) -> str:
        """Return the lesser of two i64."""
        return self.register(f"select i1 {self.register(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def label(self, name: str) -> str:
        """Return a fresh label."""
        self.body.n_labels += 1
        return f"{name}{self.body.n_labels}"

    def branch(self) -> None:
        """End the basic block and begin another right behind it."""
        label = self.label("next")
        self.line(f"br label %{label}")
        self.start_block(label)

    def start_block(self, label: str) -> None:
        """Begin a basic block; the one before must have ended with a branch."""
        self.lines.append(f"{label}:")
        self.body.label = label

    @contextmanager
    def loop(
        self,
        start: str | int,
        stop: str | int,
        step: str | int = 1,
        carried: Iterable[tuple[str, str]] = (),
        name: str = "loop",
    ) -> Iterator[Loop]:
        """Repeat the body for an i64 index from start to stop; at least once.

        Parameters
        ----------
        start, stop, step : i64 registers or constants
            With ``start < stop``; the loop ends at the first index not below ``stop``.
        carried : iterable of (type, first value)
            The body sets ``loop.carried`` to the values of the next turn; afterwards they are the last ones.
        name : str
            Of the label, for whoever reads the code.

        Notes
        -----
        ::

            loop1:
              %index = phi i64 [start, %before], [%next, %latch]
              ...
              %next = add i64 %index, step
              %more = icmp slt i64 %next, stop
              br i1 %more, label %loop1, label %done1
        """
        carried = list(carried)
        head, before = self.label(name), self.body.label
        self.line(f"br label %{head}")
        self.start_block(head)
        # Phi nodes name values that come later: their lines are completed at the end.
        place = len(self.lines)
        index = self.register("")
        registers = [self.register("") for _ in carried]
        loop = Loop(index, list(registers))
        yield loop
        following = self.register(f"add nsw i64 {index}, {step}")
        more = self.register(f"icmp slt i64 {following}, {stop}")
        done = self.label("done")
        self.line(f"br i1 {more}, label %{head}, label %{done}")
        latch = self.body.label
        firsts = [("i64", str(start), following, index)]
        firsts += [
            (type_, first, last, register)
            for (type_, first), last, register in zip(carried, loop.carried, registers, strict=True)
        ]
        for number, (type_, first, last, register) in enumerate(firsts):
            self.lines[place + number] = f"  {register} = phi {type_} [{first}, %{before}], [{last}, %{latch}]"
        self.start_block(done)

    @contextmanager
    def when(self, condition: str, name: str = "then") -> Iterator[None]:
        """Run the body only if the i1 ``condition`` holds; it leaves no values behind."""
        then, done = self.label(name), self.label("done")
        self.line(f"br i1 {condition}, label %{then}, label %{done}")
        self.start_block(then)
        yield
        self.line(f"br label %{done}")
        self.start_block(done)
