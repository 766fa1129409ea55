"""``repr`` of a stream: one line, however long the chain."""

from __future__ import annotations

import pytest

from rivulet import Stream


def odd(x):
    return x % 2


def test_it_is_the_chain_as_it_was_written():
    assert repr(Stream([1]).map(str).take(2)) == "<Stream([1]).map(str).take(2): not running>"
    assert repr(Stream.of(1)) == "<of(1): not running>"
    _, no = Stream([1]).partition(odd)
    assert repr(no.map(str)) == "<Stream([1]).partition(odd).no.map(str): not running>"


def test_of_several_inputs_it_counts_the_operators():
    stream = Stream([1]).map(str).zip(Stream([2])).map(list)
    assert repr(stream) == "<zip().map(list), made of 3 more operators: not running>"


@pytest.mark.parametrize("length", [9, 300, 5000])
def test_of_a_long_chain_it_shows_both_ends(length):
    stream = Stream([1])
    for _ in range(length - 2):
        stream = stream.map(str)
    ends = ".map(str)" * 3
    assert repr(stream.take(2)) == (
        f"<Stream([1]){ends} ... {length - 8} more ... {ends}.take(2): not running>"
    )


def test_a_chain_that_is_just_short_enough_is_whole():
    stream = Stream([1])
    for _ in range(7):
        stream = stream.map(str)
    assert repr(stream) == f"<Stream([1]){'.map(str)' * 7}: not running>"


def test_each_operator_is_shortened_too():
    stream = Stream([1]).start_with(*range(100))
    assert repr(stream).startswith("<Stream([1]).start_with(0, 1, 2, ")
    assert repr(stream).endswith("...: not running>")
    assert len(repr(stream)) < 150
    many = Stream([1])
    for _ in range(50):
        many = many + [2]
    assert len(repr(many)) < 150
