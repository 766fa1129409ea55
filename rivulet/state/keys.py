"""Keys as bytes that sort as the keys do, so that a store needs to know nothing but bytes.

Bytes that were written once are read for years, so this format stays as it is. A key is a tag,
which puts the types in order, and what sorts within its type:

===============  ====  ============================================================
None             0x10
number below 0   0x20  the bits of the double without its sign, flipped
other number     0x21  the bits of the double
str              0x30  UTF-8, which sorts by code point
bytes            0x40  the bytes
naive datetime   0x50  microseconds since the year 1, in 8 bytes
aware datetime   0x51  the same in UTC
date             0x58  days since the year 1, in 4 bytes
tuple            0x60  its elements, one after the other
===============  ====  ============================================================

An int that is no double is the next double below it, 0xFE, and what is missing: its length in 4
bytes, then its bytes. Below all doubles that is minus infinity and the whole magnitude, flipped.

In a tuple a str or bytes ends in 0x00 and has 0x00 0xFF for each 0x00, an inner tuple ends in 0x00.
So after an element comes the end, 0x00 or a tag, all of which sort before 0xFE and 0xFF.
"""

from __future__ import annotations

import math
import numbers
import operator
import struct
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeAlias, cast

__all__ = ["Key", "decode", "encode", "prefix_range"]

Key: TypeAlias = "float | str | bytes | date | tuple[Key, ...] | None"
"""What can be a key: also an int or a bool, which a type checker takes for a float."""

_END: Final = 0x00
_NONE: Final = 0x10
_NEGATIVE: Final = 0x20
_POSITIVE: Final = 0x21
_STR: Final = 0x30
_BYTES: Final = 0x40
_NAIVE: Final = 0x50
_AWARE: Final = 0x51
_DATE: Final = 0x58
_TUPLE: Final = 0x60
_MORE: Final = b"\xfe"

_STR_TAG = bytes((_STR,))
_BYTES_TAG = bytes((_BYTES,))
_TUPLE_TAG = bytes((_TUPLE,))

_DEEPEST = 64
"""Tuples within each other: far fewer than Python could compare."""

_EXACT = 2**53
_FLIPPED = bytes(range(255, -1, -1))
_pack_number = struct.Struct(">Bd").pack
_pack_time = struct.Struct(">BQ").pack
_pack_date = struct.Struct(">BI").pack
_double = struct.Struct(">d").unpack_from

_MICROSECOND = timedelta(microseconds=1)
_FIRST_AWARE = datetime.min.replace(tzinfo=UTC)
_FIRST = _FIRST_AWARE.replace(tzinfo=None)
_LAST_MICROSECOND = (datetime.max.replace(tzinfo=UTC) - _FIRST_AWARE) // _MICROSECOND


def encode(key: Key) -> bytes:
    """The bytes of a key, in the order of keys.

    ``None`` sorts before numbers, then come str, bytes, naive datetimes, aware datetimes, dates and
    tuples. Numbers are one class, and equal ones are one key as in a ``dict``: ``True``, ``1`` and
    ``1.0``. Aware datetimes are their instant, whatever the zone. Tuples sort element by element.
    Members of an ``IntEnum`` and the like are their plain values, named tuples are tuples.

    Raises:
        TypeError: it is of a type that can't be a key.
        ValueError: it is of such a type but has no place in the order, such as NaN.
    """
    given: Any = key
    kind = type(key)
    if kind is str:
        return _STR_TAG + _utf8(given)
    # The sum makes a float of an int, and 0.0 of -0.0.
    if (kind is int and 0 <= given <= _EXACT) or (kind is float and given >= 0):
        return _pack_number(_POSITIVE, given + 0.0)
    if isinstance(given, str):
        return _STR_TAG + _utf8(given)
    if isinstance(given, bytes):
        return _BYTES_TAG + given
    if isinstance(given, tuple):
        return _TUPLE_TAG + _elements(cast("tuple[Any, ...]", given), 1)
    return _element(given, 0)


def decode(data: bytes) -> Key:
    """The key of some bytes.

    It equals the key that was encoded but may be of another type: a number that is whole comes back
    as an ``int``, any other (infinity too) as a ``float``, an aware datetime in UTC.

    Raises:
        ValueError: they are not what `encode` gives for any key.
    """
    if not data:
        raise _no_key("it is empty")
    tag = data[0]
    if tag == _STR:
        return _text(data[1:])
    if tag == _POSITIVE and len(data) == 9 and data[1] <= 0x7F:
        (number,) = _double(data, 1)
        if number == number:  # noqa: PLR0124 - not NaN
            return int(number) if number.is_integer() else number
    if tag == _BYTES:
        return data[1:]
    if tag == _TUPLE:
        return _read_tuple(data)
    key, end = _read_element(data, 0)
    if end != len(data):
        raise _no_key(f"more follows after byte {end}")
    return key


def prefix_range(prefix: str | bytes | tuple[Key, ...]) -> tuple[bytes, bytes]:
    """Where the keys that begin with a prefix start, and where they stop (exclusive).

    A str is a prefix of str, bytes of bytes, and a tuple of the tuples that begin with all of its
    elements: ``("a", 1)`` of ``("a", 1, "x")`` but not of ``("a", 10)``.

    Raises:
        TypeError: the prefix is of another type, or an element can't be a key.
        ValueError: an element has no place in the order, such as NaN.
    """
    given: Any = prefix
    if not isinstance(given, str | bytes | tuple):
        raise TypeError(f"a prefix must be a str, bytes or a tuple, not {_title(given)}")
    start = encode(prefix)
    if isinstance(prefix, tuple):
        return start, start + b"\xff"
    stop = start.rstrip(b"\xff")  # never empty: the tag stays
    return start, stop[:-1] + bytes((stop[-1] + 1,))


def _elements(key: tuple[Any, ...], depth: int) -> bytes:
    if depth > _DEEPEST:
        raise ValueError(f"a cache key can't have more than {_DEEPEST} tuples within each other")
    return b"".join([_element(element, depth) for element in key])


def _element(key: Any, depth: int) -> bytes:
    """A key so that another may follow."""
    if key is None:
        return bytes((_NONE,))
    if isinstance(key, str):
        return _STR_TAG + _utf8(key).replace(b"\0", b"\0\xff") + b"\0"
    if isinstance(key, int):
        return _int(int.__int__(key))
    if isinstance(key, float):
        return _float(float.__float__(key))
    if isinstance(key, bytes):
        return _BYTES_TAG + bytes.replace(key, b"\0", b"\0\xff") + b"\0"
    if isinstance(key, tuple):
        return _TUPLE_TAG + _elements(cast("tuple[Any, ...]", key), depth + 1) + b"\0"
    if isinstance(key, datetime):
        return _datetime(key)
    if isinstance(key, date):
        return _pack_date(_DATE, date.toordinal(key))
    if isinstance(key, numbers.Integral):
        return _int(operator.index(key))
    # A fraction may lie between two doubles.
    if isinstance(key, numbers.Real) and not isinstance(key, numbers.Rational):
        return _float(_exact(key))
    raise TypeError(
        "a cache key must be a number, str, bytes, datetime, date, None or a tuple of these, "
        f"not {_title(key)}{_way(key)}"
    )


def _utf8(key: str) -> bytes:
    try:
        return str.encode(key)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a cache key must be text that UTF-8 can hold, without lone surrogates: {error}"
        ) from None


def _float(key: float) -> bytes:
    if key >= 0:
        return _pack_number(_POSITIVE, key + 0.0)  # 0.0 of -0.0
    if key < 0:
        return _pack_number(_FLIPPED[_NEGATIVE], -key).translate(_FLIPPED)
    raise ValueError("a cache key can't be NaN, which equals nothing: use None")


def _int(key: int) -> bytes:
    try:
        below = float(key)
    except OverflowError:
        below = sys.float_info.max if key > 0 else -math.inf
    if below > key:
        below = math.nextafter(below, -math.inf)
    if below == key:
        return _float(below)
    if below == -math.inf:
        return _float(below) + _MORE + _sized(-key).translate(_FLIPPED)
    return _float(below) + _MORE + _sized(key - int(below))


def _sized(number: int) -> bytes:
    length = (number.bit_length() + 7) // 8
    return length.to_bytes(4, "big") + number.to_bytes(length, "big")


def _exact(key: Any) -> float:
    number = float(key)
    if number != key and not math.isnan(number):
        raise ValueError(f"a cache key can't be more exact than a float: use float({key!r})")
    return number


def _datetime(key: datetime) -> bytes:
    # pandas has datetimes that are none, and some between two microseconds.
    if key != key or getattr(key, "nanosecond", 0):  # noqa: PLR0124
        raise ValueError(f"a cache key must be a time in whole microseconds, not {key!r}")
    if key.utcoffset() is None:
        return _pack_time(_NAIVE, datetime.__sub__(key, _FIRST) // _MICROSECOND)
    microseconds = datetime.__sub__(key, _FIRST_AWARE) // _MICROSECOND
    if not 0 <= microseconds <= _LAST_MICROSECOND:
        raise ValueError(f"a cache key must be in the years 1 to 9999 of UTC, unlike {key!r}")
    return _pack_time(_AWARE, microseconds)


def _title(key: object) -> str:
    cls = type(key)
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _way(key: object) -> str:
    match key:
        case list() | set() | frozenset() | dict():
            return ": use a tuple"
        case bytearray() | memoryview():
            return ": use bytes"
        case numbers.Number():
            return ": use a float, or a tuple of whole numbers"
        case _:
            return ""


def _read_tuple(data: bytes) -> tuple[Key, ...]:
    outer: list[list[Key]] = []  # no recursion, which foreign bytes could drive too deep
    elements: list[Key] = []
    at = 1
    while at < len(data):
        tag = data[at]
        if tag == _TUPLE:
            outer.append(elements)
            if len(outer) >= _DEEPEST:
                raise _no_key(f"it has more than {_DEEPEST} tuples within each other")
            elements = []
            at += 1
        elif tag == _END:
            if not outer:
                raise _no_key(f"more follows after byte {at}")
            inner = tuple(elements)
            elements = outer.pop()
            elements.append(inner)
            at += 1
        else:
            element, at = _read_element(data, at)
            elements.append(element)
    if outer:
        raise _no_key("it was cut off")
    return tuple(elements)


def _read_element(data: bytes, start: int) -> tuple[Key, int]:
    """What begins at a place, other than a tuple, and where it ends."""
    tag = data[start]
    at = start + 1
    if tag == _NONE:
        return None, at
    if tag in (_NEGATIVE, _POSITIVE):
        return _read_number(data, start)
    if tag in (_STR, _BYTES):
        end = data.find(b"\0", at)
        while end >= 0 and data.startswith(b"\xff", end + 1):
            end = data.find(b"\0", end + 2)
        if end < 0:
            raise _no_key("it was cut off")
        content = data[at:end].replace(b"\0\xff", b"\0")
        return (_text(content) if tag == _STR else content), end + 1
    if tag in (_NAIVE, _AWARE):
        microseconds = int.from_bytes(_part(data, at, 8), "big")
        if microseconds > _LAST_MICROSECOND:
            raise _no_key("it has a time after the year 9999")
        first = _FIRST if tag == _NAIVE else _FIRST_AWARE
        return first + microseconds * _MICROSECOND, at + 8
    if tag == _DATE:
        days = int.from_bytes(_part(data, at, 4), "big")
        if not 1 <= days <= date.max.toordinal():
            raise _no_key("it has a date outside the years 1 to 9999")
        return date.fromordinal(days), at + 4
    raise _no_key(f"{tag:#04x} at byte {start} is no tag")


def _read_number(data: bytes, start: int) -> tuple[Key, int]:
    negative = data[start] == _NEGATIVE
    at = start + 9
    bits = _part(data, start + 1, 8)
    if negative:
        bits = bits.translate(_FLIPPED)
    (number,) = _double(bits, 0)
    if bits[0] >= 0x80 or math.isnan(number) or (negative and not number):
        raise _no_key(f"what is at byte {start} is no number")
    if negative:
        number = -number
    if not data.startswith(_MORE, at):
        return (int(number) if number.is_integer() else number), at
    lowest = number == -math.inf
    size = _part(data, at + 1, 4)
    length = int.from_bytes(size.translate(_FLIPPED) if lowest else size, "big")
    rest = _part(data, at + 5, length)
    at += 5 + length
    missing = int.from_bytes(rest.translate(_FLIPPED) if lowest else rest, "big")
    if lowest or number.is_integer():
        whole = -missing if lowest else int(number) + missing
        if _int(whole) == data[start:at]:
            return whole, at
    raise _no_key(f"the number at byte {start} is written in another way")


def _part(data: bytes, at: int, length: int) -> bytes:
    part = data[at : at + length]
    if len(part) < length:
        raise _no_key("it was cut off")
    return part


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _no_key(str(error)) from None


def _no_key(reason: str) -> ValueError:
    return ValueError(f"not a key of this format: {reason}")
