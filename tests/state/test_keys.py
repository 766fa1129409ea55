"""Keys as bytes: they sort as the keys do, and come back."""

from __future__ import annotations

import enum
import itertools
import math
import random
import sys
from collections import namedtuple
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rivulet.state.keys import decode, encode, prefix_range

LARGEST = int(sys.float_info.max)

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INTS = (
    st.integers()
    | st.integers(-3, 3)
    | st.builds(
        lambda sign, power, step: sign * 2**power + step,
        st.sampled_from((-1, 1)),
        st.integers(50, 1100),
        st.integers(-3, 3),
    )
    | st.builds(lambda sign, step: sign * LARGEST + step, st.sampled_from((-1, 1)), st.integers())
)
FLOATS = st.floats(allow_nan=False) | st.sampled_from((0.0, -0.0, 2.0**53, -(2.0**53), 5e-324))
NUMBERS = INTS | FLOATS | st.booleans() | INTS.map(lambda n: float(min(max(n, -LARGEST), LARGEST)))
TEXTS = st.text() | st.text(alphabet="\0\x01a\xff\ud7ff\ue000\U0010ffff", max_size=4)
BYTES = st.binary() | st.binary(max_size=4).map(
    lambda b: bytes(b"\0\x01\xfe\xff"[i % 4] for i in b)
)
NAIVE = st.datetimes()
AWARE = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=ZONES)
SINGLE = st.none() | NUMBERS | TEXTS | BYTES | NAIVE | AWARE | st.dates()
TUPLES = st.recursive(
    SINGLE, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8
).filter(lambda key: isinstance(key, tuple))
KEYS = SINGLE | TUPLES
SMALL = st.recursive(
    st.sampled_from((None, 0, 1, 1.5, 2**53, 2**53 + 1, "", "a", "a\0", b"", b"\0", b"\xff")),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)

RANKS = (
    lambda key: key is None,
    lambda key: isinstance(key, int | float),
    lambda key: isinstance(key, str),
    lambda key: isinstance(key, bytes),
    lambda key: isinstance(key, datetime) and key.tzinfo is None,
    lambda key: isinstance(key, datetime),
    lambda key: isinstance(key, date),
    lambda key: isinstance(key, tuple),
)


def place(key):
    """What Python itself sorts as keys are to be sorted."""
    rank = next(rank for rank, fits in enumerate(RANKS) if fits(key))
    if key is None:
        return (rank,)
    return (rank, tuple(map(place, key)) if isinstance(key, tuple) else key)


def sign(a, b):
    return (a > b) - (a < b)


@pytest.mark.parametrize(
    "keys", [NUMBERS, TEXTS, BYTES, NAIVE, AWARE, st.dates(), TUPLES, SMALL, KEYS]
)
def test_bytes_sort_as_keys_do_and_are_equal_where_keys_are(keys):
    @settings(max_examples=200)
    @given(keys, keys)
    def check(a, b):
        assert sign(encode(a), encode(b)) == sign(place(a), place(b))

    check()


@settings(max_examples=200)
@given(INTS, st.integers(-2, 2))
def test_ints_and_the_floats_next_to_them_sort_by_value(number, step):
    try:
        near = float(number)
    except OverflowError:
        near = math.inf if number > 0 else -math.inf
    for other in (
        near,
        math.nextafter(near, math.inf),
        math.nextafter(near, -math.inf),
        number + step,
    ):
        assert sign(encode(number), encode(other)) == sign(number, other)


@given(st.lists(KEYS, max_size=8))
def test_a_list_of_keys_is_sorted_by_its_bytes(keys):
    assert sorted(map(encode, keys)) == [encode(key) for key in sorted(keys, key=place)]


@settings(max_examples=400)
@given(KEYS)
def test_a_key_comes_back(key):
    back = decode(encode(key))
    assert back == key
    assert encode(back) == encode(key)


def prefixes(kind):
    if kind is tuple:
        return st.lists(SMALL, max_size=2).map(tuple)
    return {
        str: st.text(alphabet="\0a\xff\ud7ff\ue000\U0010ffff", max_size=2),
        bytes: st.lists(st.sampled_from((b"\0", b"a", b"\xfe", b"\xff")), max_size=2).map(b"".join),
    }[kind]


@pytest.mark.parametrize("kind", [str, bytes, tuple])
def test_a_prefix_has_the_keys_that_begin_with_it_and_no_others(kind):
    def begins(key, prefix):
        if not isinstance(key, kind):
            return False
        return key[: len(prefix)] == prefix if kind is tuple else key.startswith(prefix)

    @settings(max_examples=200)
    @given(prefixes(kind), st.lists(prefixes(kind) | SMALL | KEYS), prefixes(kind))
    def check(prefix, keys, rest):
        start, stop = prefix_range(prefix)
        for key in [*keys, prefix, prefix + rest]:
            assert (start <= encode(key) < stop) == begins(key, prefix)

    check()


ORDERED = [
    None,
    -math.inf,
    -(10**400),
    -LARGEST - 2,
    -LARGEST - 1,
    -LARGEST,
    -LARGEST + 1,
    -(2**53) - 1,
    -(2**53),
    -1,
    -0.5,
    -5e-324,
    0,
    5e-324,
    0.5,
    True,
    2,
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**53 + 2,
    2**64 - 1,
    2**64,
    2**64 + 1,
    LARGEST - 1,
    LARGEST,
    LARGEST + 1,
    2**1024 - 1,
    2**1024,
    10**400,
    math.inf,
    "",
    "\0",
    "\0\0",
    "10",
    "9",
    "B",
    "a",
    "é",
    "\ud7ff",
    "\ue000",
    "\U0010ffff",
    b"",
    b"\0",
    b"\0\xff",
    b"\x01",
    b"\xff",
    b"\xff\xff",
    datetime.min,
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1970, 1, 1),
    datetime.max,
    datetime.min.replace(tzinfo=UTC),
    datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    date.min,
    date.max,
    (),
    (None,),
    (None, None),
    (1,),
    (1, "a"),
    (1, "a", None),
    (1, "a\0"),
    (1, "aa"),
    (1, "b"),
    (1, b""),
    (1, ()),
    (1, ((),)),
    (2, ""),
    (2**53, "z"),
    (2**53, ("z",)),
    (2**53 + 1, "a"),
    ("a", "z"),
    ("a\0", "a"),
    ((), 1),
    ((1,), 5),
    ((1, 2), 0),
    (((),),),
]


@pytest.mark.parametrize(
    ("a", "b"), list(itertools.pairwise(ORDERED)), ids=lambda key: f"{key!r:.20}"
)
def test_the_order_of_keys(a, b):
    assert encode(a) < encode(b)
    assert encode((a, 7)) < encode((b, 3))
    assert encode(((a,), 7)) < encode(((b,), 3))
    for key in (a, (a, 1), ((a,), a)):
        assert decode(encode(key)) == key


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (True, 1.0),
        (False, -0.0),
        (0, -0.0),
        (2.0**60, 2**60),
        ((1, 2.0), (True, 2)),
        (
            datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2024, 1, 1, tzinfo=UTC),
        ),
    ],
)
def test_equal_keys_are_one_key(a, b):
    assert encode(a) == encode(b)


@pytest.mark.parametrize("number", [True, 1.0, 1, -3.0, -0.0, 1e300, 2**53 + 1])
def test_a_whole_number_comes_back_as_an_int(number):
    assert type(decode(encode(number))) is int
    assert type(decode(encode((number,)))[0]) is int


@pytest.mark.parametrize("number", [1.5, -1.5, math.inf, -math.inf, 5e-324])
def test_another_number_comes_back_as_a_float(number):
    assert type(decode(encode(number))) is float


def test_an_aware_datetime_comes_back_in_utc():
    key = datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    assert decode(encode(key)).tzinfo is UTC


def test_the_two_passes_of_an_hour_are_two_instants():
    zoneinfo = pytest.importorskip("zoneinfo")
    zone = zoneinfo.ZoneInfo("Europe/Amsterdam")
    first = datetime(2024, 10, 27, 2, 30, tzinfo=zone)
    second = first.replace(fold=1)
    assert decode(encode(first)) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert decode(encode(second)) == datetime(2024, 10, 27, 1, 30, tzinfo=UTC)


def test_a_zone_without_an_offset_makes_no_instant():
    class Nowhere(tzinfo):
        def utcoffset(self, dt):
            return None

    assert decode(encode(datetime(2024, 1, 1, tzinfo=Nowhere()))) == datetime(2024, 1, 1)


def test_a_subclass_is_its_plain_value():
    class Number(enum.IntEnum):
        TWO = 2

    class Word(enum.StrEnum):
        A = "a"

    class Text(str):
        __slots__ = ()

        def encode(self, *args):
            return b"other"

    class Odd(int):
        def __int__(self):
            return 9

    Point = namedtuple("Point", "x y")
    assert encode(Number.TWO) == encode(2)
    assert encode(Word.A) == encode(Text("a")) == encode("a")
    assert encode(Odd(2)) == encode(2)
    assert encode(Point(1, Word.A)) == encode((1, "a"))


def test_scalars_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    for key in (numpy.float64(1.5), numpy.float32(0.1), numpy.int64(-3), numpy.uint64(2**64 - 1)):
        assert encode(key) == encode(key.item())
        assert encode((key,)) == encode((key.item(),))
    assert encode(numpy.str_("a")) == encode("a")
    assert encode(numpy.bytes_(b"a")) == encode(b"a")
    with pytest.raises(ValueError, match="NaN"):
        encode(numpy.float32("nan"))
    with pytest.raises(ValueError, match="more exact"):
        encode(numpy.longdouble(1) / 3)


def test_times_of_pandas_are_datetimes_where_they_are_exact():
    pandas = pytest.importorskip("pandas")
    assert encode(pandas.Timestamp("2024-01-01")) == encode(datetime(2024, 1, 1))
    assert encode(pandas.Timestamp("2024-01-01", tz="UTC")) == encode(
        datetime(2024, 1, 1, tzinfo=UTC)
    )
    for key in (pandas.NaT, pandas.Timestamp(1)):
        with pytest.raises(ValueError, match="whole microseconds"):
            encode(key)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([1], "not list: use a tuple"),
        ({1: 2}, "not dict: use a tuple"),
        (bytearray(b"a"), "not bytearray: use bytes"),
        (Decimal(1), "not decimal.Decimal: use a float"),
        (Fraction(1, 3), "not fractions.Fraction: use a float"),
        (1j, "not complex"),
        (object(), "not object$"),
        (timedelta(1), "not datetime.timedelta$"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_what_would_do(key, message):
    for given_key in (key, (1, key), ((key,),)):
        with pytest.raises(TypeError, match=f"^a cache key must be .*{message}"):
            encode(given_key)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (math.nan, "NaN"),
        ("a\ud800", "lone surrogates"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "years 1 to 9999"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "years 1 to 9999"),
    ],
)
def test_what_has_no_place_in_the_order_is_refused(key, message):
    for given_key in (key, (1, key), ((key,),)):
        with pytest.raises(ValueError, match=message):
            encode(given_key)


def test_tuples_go_64_deep_and_no_deeper():
    key = ()
    for _ in range(63):
        key = (key,)
    assert decode(encode(key)) == key
    with pytest.raises(ValueError, match="64 tuples"):
        encode((key,))
    with pytest.raises(ValueError, match="64 tuples"):
        decode(b"\x60" * 65 + b"\0" * 64)
    with pytest.raises(ValueError, match="64 tuples"):
        decode(b"\x60" * 1_000_000)


def test_a_prefix_of_another_type_is_refused():
    with pytest.raises(TypeError, match="must be a str, bytes or a tuple, not int"):
        prefix_range(1)
    with pytest.raises(TypeError, match="not list: use a tuple"):
        prefix_range(([],))


def stands(data):
    """Only a ValueError, or a key whose bytes these are."""
    try:
        key = decode(data)
    except ValueError as error:
        reason = str(error)
    else:
        reason = None
        assert encode(key) == data
    assert reason is None or reason.startswith("not a key of this format: ")


TAGS = b"\x00\x10\x20\x21\x30\x40\x50\x51\x58\x60\x7f\xfe\xff"


@settings(max_examples=800)
@given(
    st.binary()
    | st.builds(lambda tag, rest: bytes((tag,)) + rest, st.sampled_from(TAGS), st.binary())
    | st.lists(st.sampled_from(TAGS), max_size=30).map(bytes)
)
@example(b"")
@example(b"\x21\xff\xf0" + bytes(6))  # a sign in the bits
@example(b"\x21\x7f\xf8" + bytes(6))  # NaN
@example(b"\x21\x80" + bytes(7))  # -0.0
@example(b"\x20" + b"\xff" * 8)  # a negative zero
@example(b"\x20\x80\x07" + b"\xff" * 6)  # a negative NaN
@example(encode(2**53) + b"\xfe\0\0\0\0")  # nothing missing
@example(encode(2**53) + b"\xfe\0\0\0\x02\0\x01")  # a longer way to write 1
@example(encode(2**53) + b"\xfe\0\0\0\x01\x02")  # a double of its own
@example(encode(1.5) + b"\xfe\0\0\0\x01\x01")
@example(encode(math.inf) + b"\xfe\0\0\0\x01\x01")
@example(encode(-math.inf) + b"\xfe\xff\xff\xff\xfe\xfe")
@example(encode(2**53) + b"\xfe\xff\xff\xff\xff")
@example(b"\x30\xed\xa0\x80")  # a surrogate
@example(b"\x30\xc0\x80")  # a longer way to write 0x00
@example(b"\x50" + b"\xff" * 8)
@example(b"\x58\0\0\0\0")
@example(b"\x58\xff\xff\xff\xff")
@example(b"\x60\0")
@example(b"\x60\x60\0\0")
def test_any_bytes_are_a_key_or_refused(data):
    stands(data)


@settings(max_examples=800)
@given(KEYS, st.integers(0), st.binary(max_size=3), st.integers(0, 3))
def test_changed_bytes_are_a_key_or_refused(key, seed, patch, cut):
    data = encode(key)
    at = random.Random(seed).randrange(len(data) + 1)
    stands(data[:at])
    stands(data[:at] + patch + data[at + cut :])
    for mark in TAGS:
        stands(data[:at] + bytes((mark,)) + data[at + 1 :])
