"""Codecs: how values become bytes and come back, in a cache, a topic or a file.

Bytes that were written once are read for years, so `MsgpackCodec` keeps to one format: plain
MessagePack for what MessagePack has, an extension for each other single value (the numbers in
``_READERS``), and for each other container an array that begins with an extension without data,
its mark (the numbers in ``_MARKS``). So one pass reads everything, however deep it is.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import struct
import sys
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal, InvalidOperation
from enum import Enum, Flag
from functools import cached_property
from importlib import import_module
from io import BytesIO
from typing import Any, Protocol, TypeVar, cast, overload
from zoneinfo import ZoneInfo

from rivulet.errors import CodecError, MissingExtraError

__all__ = ["AvroCodec", "Codec", "JsonCodec", "MsgpackCodec", "PickleCodec", "register"]

C = TypeVar("C", bound=type)

_msgpack: Any = import_module("msgpack")
_ext: Callable[[int, bytes], Any] = _msgpack.ExtType
_unpackb: Callable[..., Any] = _msgpack.unpackb
_Packer: Callable[..., Any] = _msgpack.Packer
_class_of: Callable[[Any], type[Any]] = type

_LARGE = 65536
"""A packer keeps the room that it needed; from so many bytes on it isn't used again."""

_DEEPEST = 500
"""Containers within each other. msgpack reads 1024 but may write one more than it can read."""


class Codec(Protocol):
    """What turns values into bytes and back.

    Any object with these two methods is one. Both run in whichever thread needs them.
    """

    def encode(self, obj: Any) -> bytes:
        """The bytes of a value.

        Raises:
            CodecError: the codec can't keep it.
        """
        ...

    def decode(self, s: bytes) -> Any:
        """The value of some bytes.

        Raises:
            CodecError: they are not what the codec writes.
        """
        ...


class JsonCodec:
    """JSON in UTF-8, for what other programs read.

    Types that JSON lacks don't come back: a tuple or named tuple becomes a list, keys that are
    numbers or ``None`` become text, a member of an ``IntEnum`` a number. NaN and infinity are
    written as Python's `json` does, ``NaN`` and ``Infinity``, which the JSON standard doesn't have
    and other programs may refuse. What has no form in JSON is refused, unless ``default`` gives it
    one: ``JsonCodec(default=str)`` writes a datetime as text.

    Args:
        default: Called with a value that JSON can't hold; its result is written instead.

    Example:
        >>> from rivulet.codecs import JsonCodec
        >>> JsonCodec().encode({"city": "Köln", "at": (50.9, 7.0)}).decode()
        '{"city": "Köln", "at": [50.9, 7.0]}'
    """

    def __init__(self, *, default: Callable[[Any], Any] | None = None) -> None:
        self._default = default

    def encode(self, obj: Any) -> bytes:
        try:
            return json.dumps(obj, ensure_ascii=False, default=self._default).encode()
        except RecursionError as error:
            raise CodecError("JSON can't hold this: it is nested too deep") from error
        except (TypeError, ValueError) as error:
            raise CodecError(f"JSON can't hold this: {error}") from error

    def decode(self, s: bytes) -> Any:
        try:
            return json.loads(s)
        except (TypeError, ValueError, RecursionError) as error:
            raise CodecError(f"This is no JSON: {error}") from error


class PickleCodec:
    """Python's pickle: any Python object, and any code.

    Reading a pickle runs whatever its writer put into it. Use it only for folders and topics that
    nobody else can write to.
    """

    def encode(self, obj: Any) -> bytes:
        try:
            return pickle.dumps(obj, protocol=5)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise CodecError(
                f"pickle can't hold a value of type {_title(_class_of(obj))}: {error}"
            ) from error

    def decode(self, s: bytes) -> Any:
        try:
            return pickle.loads(s)  # noqa: S301 - asked for by name
        except Exception as error:  # broken pickles raise anything
            raise CodecError(
                f"This is no pickle that can be read here: {_reason(error)}"
            ) from error


class AvroCodec:
    """Avro by one schema, without a header: what is read has to be of the schema it was written by.

    Types are the schema's: a tuple comes back as a list, a ``float`` with the precision the schema
    gives it. A field that the schema doesn't have is refused, and so is a missing one, unless the
    schema has a default for it. Not for bytes from people you don't trust: few of them can ask for
    much memory. Needs the extra ``avro`` (fastavro).

    Args:
        schema: The schema, as read from JSON.

    Raises:
        CodecError: The schema can't be read.
        MissingExtraError: fastavro is not installed.
    """

    def __init__(self, schema: dict[str, Any] | list[Any] | str) -> None:
        try:
            self._avro: Any = import_module("fastavro")
        except ImportError as error:
            raise MissingExtraError("fastavro", "avro") from error
        try:
            self._schema = self._avro.parse_schema(schema)
        except Exception as error:  # fastavro has no base class of its errors
            raise CodecError(f"This is no Avro schema: {_reason(error)}") from error

    def encode(self, obj: Any) -> bytes:
        out = BytesIO()
        try:
            self._avro.schemaless_writer(out, self._schema, obj, strict_allow_default=True)
        except Exception as error:
            raise CodecError(f"The Avro schema can't hold this: {_reason(error)}") from error
        return out.getvalue()

    def decode(self, s: bytes) -> Any:
        try:
            source = BytesIO(s)
            value = self._avro.schemaless_reader(source, self._schema, None)
        except Exception as error:
            raise CodecError(f"This is not of the Avro schema: {_reason(error)}") from error
        if rest := len(s) - source.tell():
            raise CodecError(f"This is not of the Avro schema: {rest} bytes are left over")
        return value


class MsgpackCodec:
    """MessagePack with types kept exactly, the default.

    Keeps ``None``, ``bool``, ``int`` of any size, ``float`` with NaN and infinity, ``complex``,
    ``str``, ``bytes``, ``list``, ``tuple``, ``dict`` with any of these keys in their order,
    ``set``, ``frozenset``, ``datetime`` and ``time`` (naive, with a fixed offset or a `ZoneInfo`),
    ``date``, ``timedelta``, `Decimal`, `UUID`, the scalars of numpy, and members of classes that
    were handed to `register`. Anything else is refused, subclasses of these too: nothing comes back
    as something else. Reading runs no code that the bytes could choose, and raises nothing but
    `CodecError`.

    Two equal sets may give different bytes. A timestamp of another MessagePack writer is read as a
    ``datetime`` in UTC, in whole microseconds.

    Example:
        >>> from rivulet.codecs import MsgpackCodec
        >>> codec = MsgpackCodec()
        >>> codec.decode(codec.encode({("a", 1): {2.5}}))
        {('a', 1): {2.5}}
    """

    def __init__(self) -> None:
        # A Packer can't be used twice at once, by threads or from within.
        self._packers: list[Any] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return MsgpackCodec, ()

    def encode(self, obj: Any) -> bytes:
        packers = self._packers
        try:
            packer = packers.pop()
        except IndexError:
            packer = _Packer(default=_written, strict_types=True)
        try:
            packed: bytes = packer.pack(obj)
        except CodecError:
            raise
        except UnicodeEncodeError as error:
            raise CodecError(
                f"MsgpackCodec can't keep text with half a character (a lone surrogate): {error}; "
                "give bytes instead"
            ) from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise CodecError(f"MsgpackCodec can't keep this: {_too_deep(error)}") from error
        if type(obj) not in _LEAVES:
            _check(obj)
        if len(packed) < _LARGE:
            packers.append(packer)
        return packed

    def decode(self, s: bytes) -> Any:
        reading = _Reading()
        try:
            value = _unpackb(
                s,
                ext_hook=reading.extension,
                list_hook=reading.array,
                strict_map_key=False,
                timestamp=3,
            )
        except CodecError:
            raise
        except Exception as error:  # any bytes may come, and any error of what reads them
            raise CodecError(f"MsgpackCodec didn't write these bytes: {_reason(error)}") from error
        if reading.marks:
            raise CodecError("MsgpackCodec didn't write these bytes: a mark is out of place")
        return value


@overload
def register(cls: C, *, name: str | None = None) -> C: ...
@overload
def register(*, name: str | None = None) -> Callable[[C], C]: ...
def register(cls: C | None = None, *, name: str | None = None) -> C | Callable[[C], C]:
    """Let `MsgpackCodec` keep a dataclass, an enum or a named tuple. Works as a decorator.

    What is written is the name and the fields, so the class may move to another module, change the
    order of its fields and get new ones that have a default: an older value takes the default. An
    older value with a field that the class no longer has is refused. Members of an enum are
    written by name, flags by value.

    An object is restored from its fields: neither ``__init__`` nor ``__post_init__`` runs. One that
    holds more than its fields is refused.

    A class of the same module and name takes the place of the former, as when a notebook cell runs
    again.

    Args:
        cls: The class. Goes above ``@dataclass``.
        name: What it is called in the bytes, by default as in Python, without the module.

    Raises:
        CodecError: The class can't be restored from its fields, or another has the name.

    Example:
        >>> from dataclasses import dataclass
        >>> from rivulet.codecs import MsgpackCodec, register
        >>> @register
        ... @dataclass
        ... class Reading:
        ...     sensor: str
        ...     celsius: float = 0.0
        >>> codec = MsgpackCodec()
        >>> codec.decode(codec.encode(Reading("s1", 21.5)))
        Reading(sensor='s1', celsius=21.5)
    """
    if cls is None:
        return lambda cls: register(cls, name=name)
    kind = _kind_of(cls, name)
    other = _by_name.get(kind.name)
    if other and _title(other.cls) != _title(cls):
        raise CodecError(
            f"{kind.name!r} is the name of {_title(other.cls)} already; "
            f"give {_title(cls)} another: register(name=...)"
        )
    for former in (other, _by_class.get(cls)):
        if former:
            _by_class.pop(former.cls, None)
            _by_name.pop(former.name, None)
    _by_class[cls] = _by_name[kind.name] = kind
    return cls


class _Kind:
    """A registered class: ``write`` makes of an object what ``read`` makes an object of."""

    def __init__(self, cls: type[Any], name: str) -> None:
        self.cls = cls
        self.name = name

    def write(self, obj: Any) -> Any:
        raise NotImplementedError

    def read(self, data: Any) -> Any:
        raise NotImplementedError


_by_class: dict[type[Any], _Kind] = {}
_by_name: dict[str, _Kind] = {}


def _kind_of(cls: type[Any], name: str | None) -> _Kind:
    given: Any = cls
    if not isinstance(given, type):
        raise CodecError(f"register takes a class, not {given!r}")
    if name is None:
        name = cls.__qualname__.rpartition("<locals>.")[2]
    if issubclass(cls, Flag):
        return _FlagKind(cls, name)
    if issubclass(cls, Enum):
        return _EnumKind(cls, name)
    if dataclasses.is_dataclass(cls):
        return _DataclassKind(cls, name)
    if issubclass(given, tuple) and hasattr(cls, "_fields"):
        return _NamedTupleKind(cls, name)
    raise CodecError(
        f"register takes dataclasses, enums and named tuples, and {_title(cls)} is none "
        "(@register goes above @dataclass)"
    )


class _EnumKind(_Kind):
    def __init__(self, cls: type[Enum], name: str) -> None:
        super().__init__(cls, name)
        self._members: dict[Any, Enum] = dict(cls.__members__)

    def write(self, obj: Any) -> Any:
        return obj._name_

    def read(self, data: Any) -> Any:
        if data not in self._members:
            raise CodecError(f"{_title(self.cls)} has no member {data!r} (any more)")
        return self._members[data]


class _FlagKind(_Kind):
    def write(self, obj: Any) -> Any:
        return obj._value_

    def read(self, data: Any) -> Any:
        try:
            # Where a class ejects unknown flags, a mere number comes out.
            if type(data) is int and type(flags := self.cls(data)) is self.cls:
                return flags
        except ValueError:
            pass
        raise CodecError(f"{_title(self.cls)} has no flags {data!r} (any more)")


class _FieldsKind(_Kind):
    """What has fields; ``defaults`` makes values of those that an older object lacks."""

    def __init__(
        self, cls: type[Any], name: str, fields: list[str], defaults: dict[str, Callable[[], Any]]
    ) -> None:
        super().__init__(cls, name)
        self._fields = fields
        self._defaults = defaults
        classes = cls.__mro__
        # typing notes a generic's arguments in each object; a cached property is made anew.
        self._may_hold = {"__orig_class__", *fields} | {
            name
            for base in classes
            for name, value in vars(base).items()
            if isinstance(value, cached_property)
        }
        slots = {slot for base in classes for slot in _slots(base)}
        if more := sorted(slots - self._may_hold - {"__dict__", "__weakref__"}):
            raise CodecError(f"{_title(cls)} can't be registered: {more[0]!r} is no field of it")

    def write(self, obj: Any) -> Any:
        held: dict[str, Any] = getattr(obj, "__dict__", {})
        if not held.keys() <= self._may_hold:
            more = sorted(held.keys() - self._may_hold)
            raise CodecError(
                f"this {_title(self.cls)} holds {more[0]!r}, which is no field: "
                "make it a field, a property or a cached_property"
            )
        try:
            return {name: getattr(obj, name) for name in self._fields}
        except AttributeError as error:
            raise CodecError(f"this {_title(self.cls)} lacks a field: {error}") from error

    def read(self, data: Any) -> Any:
        if type(data) is not dict:
            raise CodecError(f"an object of {_title(self.cls)} has no fields here")
        given = cast("dict[Any, Any]", data)
        values: dict[str, Any] = {}
        for name in self._fields:
            if name in given:
                values[name] = given.pop(name)
            elif name in self._defaults:
                values[name] = self._defaults[name]()
            else:
                raise CodecError(
                    f"an older {_title(self.cls)} has no {name!r}: give the field a default"
                )
        if given:
            raise CodecError(
                f"an older {_title(self.cls)} has {next(iter(given))!r}, which is no field "
                "any more: keep the field until all older ones are rewritten"
            )
        return self.make(values)

    def make(self, values: dict[str, Any]) -> Any:
        raise NotImplementedError


class _DataclassKind(_FieldsKind):
    def __init__(self, cls: type[Any], name: str) -> None:
        try:
            object.__new__(cls)
        except TypeError as error:  # abstract, or also a dict, an exception or the like
            raise CodecError(
                f"{_title(cls)} can't be registered: it is more than its fields ({error})"
            ) from error
        defaults: dict[str, Callable[[], Any]] = {}
        fields = dataclasses.fields(cls)
        for field in fields:
            if field.default is not dataclasses.MISSING:
                defaults[field.name] = _constant(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                defaults[field.name] = field.default_factory
        super().__init__(cls, name, [field.name for field in fields], defaults)

    def make(self, values: dict[str, Any]) -> Any:
        made = object.__new__(self.cls)
        for name, value in values.items():
            object.__setattr__(made, name, value)  # frozen ones too
        return made


class _NamedTupleKind(_FieldsKind):
    def __init__(self, cls: Any, name: str) -> None:
        defaults = {name: _constant(value) for name, value in cls._field_defaults.items()}
        super().__init__(cls, name, list(cls._fields), defaults)

    def make(self, values: dict[str, Any]) -> Any:
        cls: Any = self.cls
        return cls._make(values.values())


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _slots(cls: type[Any]) -> tuple[str, ...]:
    slots: Any = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


class _Mark:
    """Stands first in an array that is to become something else than a list."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[[list[Any]], Any]) -> None:
        self.build = build


def _object(items: list[Any]) -> Any:
    name, data = items
    kind = _by_name.get(name)
    if kind is None:
        raise CodecError(
            f"no class is registered as {name!r}: "
            "hand it to rivulet.codecs.register before such values are read"
        )
    return kind.read(data)


class _Reading:
    """One decode: counts the marks that have not been used."""

    __slots__ = ("marks",)

    def __init__(self) -> None:
        self.marks = 0

    def extension(self, code: int, data: bytes) -> Any:
        if (mark := _MARKS.get(code)) and not data:
            self.marks += 1
            return mark
        if (read := _READERS.get(code)) is None:
            raise CodecError(f"MsgpackCodec doesn't know extension {code} of {len(data)} bytes")
        return read(data)

    def array(self, items: list[Any]) -> Any:
        if items and type(mark := items[0]) is _Mark:
            self.marks -= 1
            del items[0]
            return mark.build(items)
        return items


def _written(obj: Any) -> Any:
    """What MessagePack has for a value that it doesn't have itself."""
    cls = _class_of(obj)
    if write := _WRITERS.get(cls):
        return write(obj)
    if kind := _by_class.get(cls):
        return [_OBJECT, kind.name, kind.write(obj)]
    # Not imported here: without numpy there are no values of it.
    if (numpy := sys.modules.get("numpy")) and isinstance(obj, numpy.generic):
        return _numpy_written(obj)
    raise _refused(cls)


def _check(obj: Any) -> None:
    """Refuse what msgpack has written though it can't be read as it was.

    These are its own classes, what it takes for bytes, and what is too deep.
    """
    if type(obj) is dict and _is_flat(cast("dict[Any, Any]", obj)):
        return
    level: list[Any] = [obj]
    for _ in range(_DEEPEST + 1):
        classes = set(map(type, level))
        if classes <= _LEAVES:
            return
        for cls in classes & _CHANGED:
            raise _refused(cls)
        below: list[Any] = []
        for value in level:
            cls = _class_of(value)
            if cls is dict:
                below += value
                below += value.values()
            elif cls in _CONTAINERS:
                below += value
            elif kind := _by_class.get(cls):
                below.append(kind.write(value))
        level = below
    raise CodecError(f"MsgpackCodec can't keep this: {_too_deep()}")


def _is_flat(items: dict[Any, Any]) -> bool:
    return _LEAVES.issuperset(map(type, items.values())) and _LEAVES.issuperset(map(type, items))


def _refused(cls: type[Any]) -> CodecError:
    plain = next((base for base in cls.__mro__ if base in _LEAVES or base in _CONTAINERS), None)
    if cls in _CHANGED and cls.__module__ == "builtins":
        way = "make it bytes"
    elif issubclass(cls, Enum) or dataclasses.is_dataclass(cls) or hasattr(cls, "_fields"):
        way = "hand its class to rivulet.codecs.register"
    elif plain:
        way = f"make it a plain {plain.__name__}"
    else:
        way = "make it of types that are kept, such as a dataclass with rivulet.codecs.register"
    return CodecError(
        f"MsgpackCodec can't keep a value of type {_title(cls)}: {way}, "
        "or choose codec=PickleCodec()"
    )


def _title(cls: type[Any]) -> str:
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _too_deep(error: Exception | None = None) -> str:
    if error is None or isinstance(error, RecursionError) or "recursion" in str(error):
        return f"it has more than {_DEEPEST} containers within each other, or holds itself"
    return str(error)


# Single values: bytes of a fixed layout, so that what is read is checked by the type itself.

_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">BBBIB")
_DATETIME = struct.Struct(">HBBBBBIB")
_TIMEDELTA = struct.Struct(">iii")
_COMPLEX = struct.Struct(">dd")
_MICROSECOND = timedelta(microseconds=1)
_STRICT = Context(traps=[InvalidOperation])


def _int_written(value: int) -> Any:
    return _ext(16, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _int_read(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _date_written(value: date) -> Any:
    return _ext(17, _DATE.pack(value.year, value.month, value.day))


def _date_read(data: bytes) -> date:
    return date(*_DATE.unpack(data))


def _time_written(value: time) -> Any:
    clock = (value.hour, value.minute, value.second, value.microsecond, value.fold)
    return _ext(18, _TIME.pack(*clock) + _zone_written(value.tzinfo))


def _time_read(data: bytes) -> time:
    *clock, fold = _TIME.unpack_from(data)
    return time(*clock, tzinfo=_zone_read(data[_TIME.size :]), fold=fold)


def _datetime_written(value: datetime) -> Any:
    fields = _DATETIME.pack(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.fold,
    )
    return _ext(19, fields + _zone_written(value.tzinfo))


def _datetime_read(data: bytes) -> datetime:
    *fields, fold = _DATETIME.unpack_from(data)
    return datetime(*fields, tzinfo=_zone_read(data[_DATETIME.size :]), fold=fold)


def _zone_written(zone: tzinfo | None) -> bytes:
    """Nothing; signed microseconds, with a name where one was given; or ``@`` and a key."""
    if zone is None:
        return b""
    if type(zone) is timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        text = f"{offset // _MICROSECOND:+}"
        return (text if name == timezone(offset).tzname(None) else f"{text} {name}").encode()
    if type(zone) is ZoneInfo and zone.key:
        return f"@{zone.key}".encode()
    raise CodecError(
        f"MsgpackCodec can't keep a time zone of {_title(type(zone))}: use zoneinfo.ZoneInfo "
        "with a key, or datetime.timezone"
    )


def _zone_read(data: bytes) -> tzinfo | None:
    if not data:
        return None
    text = data.decode()
    if text[0] == "@":
        try:
            return ZoneInfo(text[1:])
        except Exception as error:  # a wrong key raises many things
            raise CodecError(
                f"no time zone {text[1:]!r} on this machine (pip install tzdata)"
            ) from error
    offset, named, name = text.partition(" ")
    delta = int(offset) * _MICROSECOND
    return timezone(delta, name) if named else timezone(delta)


def _timedelta_written(value: timedelta) -> Any:
    return _ext(20, _TIMEDELTA.pack(value.days, value.seconds, value.microseconds))


def _timedelta_read(data: bytes) -> timedelta:
    return timedelta(*_TIMEDELTA.unpack(data))


def _decimal_written(value: Decimal) -> Any:
    return _ext(21, str(value).encode())


def _decimal_read(data: bytes) -> Decimal:
    return Decimal(data.decode("ascii"), _STRICT)


def _uuid_written(value: uuid.UUID) -> Any:
    return _ext(22, value.bytes)


def _uuid_read(data: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=data)


def _complex_written(value: complex) -> Any:
    return _ext(23, _COMPLEX.pack(value.real, value.imag))


def _complex_read(data: bytes) -> complex:
    return complex(*_COMPLEX.unpack(data))


_NUMPY_TYPE = re.compile(r"[<|>](?:[biu][1248]|f[248]|c(?:8|16)|[mM]8(?:\[\d*[A-Za-z]+\])?)")
"""Those that are the same on each machine; ``longdouble`` isn't."""


def _numpy_written(value: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    cls = _class_of(value)
    if cls is numpy.str_:
        return _ext(24, b"U " + value.encode())
    if cls is numpy.bytes_:
        return _ext(24, b"S " + bytes(value))
    code: str = value.dtype.str
    # Two types may have one code: longlong is an int64 in all but name.
    if not _NUMPY_TYPE.fullmatch(code) or numpy.dtype(code).type is not cls:
        raise _refused(cls)
    return _ext(24, f"{code} ".encode() + value.tobytes())


def _numpy_read(data: bytes) -> Any:
    try:
        numpy: Any = import_module("numpy")
    except ImportError as error:
        raise CodecError(
            "this holds a value of numpy, which is not installed: pip install numpy"
        ) from error
    start, _, content = data.partition(b" ")
    code = start.decode("ascii")
    if code == "U":
        return numpy.str_(content.decode())
    if code == "S":
        return numpy.bytes_(content)
    if not _NUMPY_TYPE.fullmatch(code):
        raise CodecError(f"MsgpackCodec doesn't read {code!r} of numpy")
    (value,) = numpy.frombuffer(content, code)
    return value


_MARKS = {1: _Mark(tuple), 2: _Mark(set), 3: _Mark(frozenset), 4: _Mark(_object)}
_TUPLE, _SET, _FROZENSET, _OBJECT = (_ext(code, b"") for code in _MARKS)

_READERS: dict[int, Callable[[bytes], Any]] = {
    16: _int_read,
    17: _date_read,
    18: _time_read,
    19: _datetime_read,
    20: _timedelta_read,
    21: _decimal_read,
    22: _uuid_read,
    23: _complex_read,
    24: _numpy_read,
}

_WRITERS: dict[type[Any], Callable[[Any], Any]] = {
    tuple: lambda value: [_TUPLE, *value],
    set: lambda value: [_SET, *value],
    frozenset: lambda value: [_FROZENSET, *value],
    int: _int_written,
    date: _date_written,
    time: _time_written,
    datetime: _datetime_written,
    timedelta: _timedelta_written,
    Decimal: _decimal_written,
    uuid.UUID: _uuid_written,
    complex: _complex_written,
}

_CONTAINERS = frozenset((dict, list, tuple, set, frozenset))
_LEAVES = frozenset((type(None), bool, float, str, bytes, *_WRITERS)) - _CONTAINERS
_CHANGED = frozenset((bytearray, memoryview, _msgpack.ExtType, _msgpack.Timestamp))
"""What msgpack writes by itself and reads as something else."""
