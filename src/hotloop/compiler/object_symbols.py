"""What an object file is for, defines and needs: header and symbol table of ELF and Mach-O, 64 bit.

Sources: System V ABI, chapter 4 (ELF64, little endian); Apple's <mach-o/loader.h> and <mach-o/nlist.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ObjectSymbols", "read_symbols"]

_ELF, _MACH_O = b"\x7fELF", b"\xcf\xfa\xed\xfe"
_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}
_MACH_O_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
_ELF_SYMBOL_TABLE, _ELF_LOCAL = 2, 0
_MACH_O_SYMBOL_TABLE, _MACH_O_DEBUG, _MACH_O_TYPE, _MACH_O_EXTERNAL = 2, 0xE0, 0x0E, 0x01

_Symbol = tuple[int, bool]  # where its name begins in the table of names; whether it is defined


@dataclass(frozen=True)
class ObjectSymbols:
    """The global names of an object file.

    Parameters
    ----------
    architecture : str
        "x86_64", "aarch64" or "unknown".
    defined, undefined : frozenset of str
        What it brings, and what it needs from elsewhere.
    """

    architecture: str
    defined: frozenset[str]
    undefined: frozenset[str]


def read_symbols(object_code: bytes) -> ObjectSymbols:
    """Read the global symbols.

    Raises
    ------
    ValueError
        The bytes are no such file, or it is damaged.
    """
    try:
        architecture = _architecture(object_code)
        found = list(_named(object_code))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged object code ({error})") from error
    return ObjectSymbols(
        architecture,
        frozenset(name for name, defined in found if defined),
        frozenset(name for name, defined in found if not defined),
    )


def _architecture(data: bytes) -> str:
    if data[:4] == _ELF:
        return _ELF_MACHINES.get(struct.unpack_from("<H", data, 18)[0], "unknown")
    return _MACH_O_MACHINES.get(struct.unpack_from("<I", data, 4)[0], "unknown")


def _named(data: bytes) -> Iterator[tuple[str, bool]]:
    if data[:4] == _ELF:
        tables, prefix = _elf_tables(data), ""
    elif data[:4] == _MACH_O:
        tables, prefix = _mach_o_tables(data), "_"
    else:
        raise ValueError("no object code of a kind that hotloop links")
    for names, symbols in tables:
        for start, defined in symbols:
            yield names[start : names.index(b"\0", start)].decode("ascii").removeprefix(prefix), defined


def _elf_tables(data: bytes) -> Iterator[tuple[bytes, list[_Symbol]]]:
    (sections_start,) = struct.unpack_from("<Q", data, 0x28)
    entry_size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQII", data, sections_start + k * entry_size) for k in range(count)]
    for _, kind, _, _, start, size, names, _ in sections:
        if kind == _ELF_SYMBOL_TABLE:
            yield _part(data, *sections[names][4:6]), list(_elf_symbols(_part(data, start, size)))


def _elf_symbols(table: bytes) -> Iterator[_Symbol]:
    for name, info, _, section, _, _ in struct.iter_unpack("<IBBHQQ", table):
        if info >> 4 != _ELF_LOCAL:
            yield name, section != 0


def _mach_o_tables(data: bytes) -> Iterator[tuple[bytes, list[_Symbol]]]:
    (commands,) = struct.unpack_from("<I", data, 16)
    position = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", data, position)
        if command == _MACH_O_SYMBOL_TABLE:
            start, count, names, names_size = struct.unpack_from("<IIII", data, position + 8)
            yield _part(data, names, names_size), list(_mach_o_symbols(_part(data, start, 16 * count)))
        position += size


def _mach_o_symbols(table: bytes) -> Iterator[_Symbol]:
    for name, kind, _, _, _ in struct.iter_unpack("<IBBHQ", table):
        if kind & _MACH_O_EXTERNAL and not kind & _MACH_O_DEBUG:
            yield name, kind & _MACH_O_TYPE != 0


def _part(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise IndexError("it ends too early")
    return data[start : start + size]
