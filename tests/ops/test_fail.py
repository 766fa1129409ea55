"""``Stream.fail``: an error."""

from __future__ import annotations

import pytest

from rivulet import GraphError, Stream


async def test_each_run_raises_the_very_exception_with_one_note():
    error = ValueError("no")
    stream = Stream.fail(error)
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            await stream.collect()
        assert caught.value is error
    (note,) = error.__notes__
    assert "fail(ValueError('no'))" in note
    assert __file__ in note


async def test_nothing_happens_before_it_is_run():
    calls = []
    stream = Stream.fail(KeyError("no")).tap(calls.append)
    with pytest.raises(KeyError):
        await stream.run()
    assert calls == []


async def test_items_before_it_have_come():
    rows = []
    with pytest.raises(KeyError):
        await (Stream.of(1, 2) + Stream.fail(KeyError("no"))).to(rows).run()
    assert rows == [1, 2]


async def test_it_can_be_caught():
    assert await Stream.fail(KeyError("no")).catch(lambda error: [error.args]).collect() == [
        ("no",)
    ]


@pytest.mark.parametrize("given", [ValueError, "no", None], ids=repr)
def test_what_is_no_exception_is_refused(given):
    with pytest.raises(GraphError, match=r"Stream.fail needs an exception, not"):
        Stream.fail(given)
