"""Every operator in the standard cases: no item, one, many, failure, early end, cancelling."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import pytest

from rivulet import Stream, ops
from rivulet.testing import RecordingSource, assert_closed
from tests.ops.cases import BEFORE_FAILURE, CASES, MANY, ONE

SECTIONS = ["Emits", "Waits", "Completes", "State", "Time", "Args", "Raises", "Example", "Source"]


class Boom(Exception):
    pass


class PlainSource:
    """A source that is iterated with ``for``."""

    def __init__(self, items, *, error=None):
        self.items, self.error = items, error
        self.opened = self.closed = 0

    def __iter__(self):
        self.opened += 1
        try:
            yield from self.items
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


def waiting_source(items, **more):
    return RecordingSource(items, every=1, **more)


async def collected(stream):
    return await stream.collect()


async def iterated(stream):
    async with stream.open() as items:
        return [item async for item in items]


async def started(stream):
    run = stream.start()
    await run
    return run.last(100)


def ids(case):
    return case.name


every_case = pytest.mark.parametrize("case", CASES, ids=ids)
every_source = pytest.mark.parametrize("make", [waiting_source, RecordingSource, PlainSource])
every_way = pytest.mark.parametrize("run", [collected, iterated, started])


@every_case
@every_source
@every_way
async def test_no_item_one_item_many_items(case, make, run):
    for items, expected in ([], case.empty), (ONE, case.one), (MANY, case.many):
        source = make(items)
        assert await run(case.use(Stream(source))) == expected
        assert_closed(source)
    assert source.opened == case.opens


@every_case
@every_source
@every_way
async def test_a_failing_source_fails_the_run_after_the_items_before(case, make, run):
    error, seen = Boom("no"), []
    source = make(BEFORE_FAILURE, error=error)
    stream = case.use(Stream(source)).to(seen)
    if case.takes_failure:
        await run(stream)
    else:
        with pytest.raises(Boom) as caught:
            await run(stream)
        assert caught.value is error
        assert any(type(source).__name__ in note for note in caught.value.__notes__)
    assert seen == case.before_failure
    assert_closed(source)


@every_case
@every_source
async def test_a_reader_that_leaves_closes_the_source(case, make):
    source = make(MANY)
    async with case.use(Stream(source)).open() as items:
        async for item in items:
            assert item == case.many[0]
            break
    assert_closed(source)


@every_case
@every_source
@every_way
async def test_taking_one_closes_the_source(case, make, run):
    source = make(MANY)
    assert await run(case.use(Stream(source)).take(1)) == case.many[:1]
    assert_closed(source)


@every_case
@pytest.mark.parametrize("make", [waiting_source, RecordingSource])
@pytest.mark.parametrize("run", [collected, iterated])
async def test_cancelling_in_silence_closes_the_source(case, make, run):
    source = make(ONE, silent=True)
    task = asyncio.create_task(run(case.use(Stream(source))))
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.opened
    assert_closed(source)


@every_case
@pytest.mark.parametrize("make", [waiting_source, RecordingSource])
async def test_cancelling_a_run_in_silence_closes_the_source(case, make):
    source = make(ONE, silent=True)
    run = case.use(Stream(source)).start()
    await asyncio.sleep(10)
    assert run.state == "running"
    await run.cancel()
    assert run.state == "cancelled"
    assert source.opened
    assert_closed(source)


every_operator = pytest.mark.parametrize("name", ops.__all__)


@every_operator
def test_an_operator_is_a_method_of_streams(name):
    method = "__getitem__" if name == "item" else name
    found = inspect.getattr_static(Stream, method)
    if not isinstance(found, property):
        assert getattr(found, "__func__", found) is getattr(ops, name)


@every_operator
def test_an_operator_has_a_standard_case_and_tests_of_its_own(name):
    assert name in {case.name for case in CASES}
    assert Path(__file__).with_name(f"test_{name}.py").is_file()


@every_operator
def test_the_docstring_of_an_operator_has_its_sections_in_order(name):
    text = inspect.getdoc(getattr(ops, name))
    found = re.findall(rf"^({'|'.join(SECTIONS)}):", text, re.MULTILINE)
    assert found == sorted(set(found), key=SECTIONS.index)
    assert {"Emits", "Completes", "Example", "Source"} <= set(found)


def test_no_case_is_of_something_else():
    assert {case.name for case in CASES} == set(ops.__all__)
