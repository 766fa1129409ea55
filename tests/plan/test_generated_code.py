"""The generated code: as one would write it, within what CPython takes, compiled once."""

from __future__ import annotations

import ast

import pytest

from rivulet import Stream, maybe_async, testing
from rivulet.plan.code import compiled
from rivulet.plan.writer import DEEPEST, MOST_BLOCKS


def double(x):
    return 2 * x


def odd(x):
    return x % 2


def add(a, b):
    return a + b


async def fetch(x):
    return x


async def both(x):
    yield x
    yield -x


def pairs(x):
    return [x, -x]


# Text


def test_the_code_of_a_simple_chain_is_what_one_would_write():
    stream = Stream([1, 2, 3]).map(double).filter(odd).scan(add, 0).to(print)
    assert (
        stream.explain("code")
        == """\
# map_2 = double
# filter_3 = odd
# scan_4 = add, initial=0
# to_5 = print
async def loop(source):
    while True:
        x = END
        for x in islice(source, turn.items):
            x = map_2(x)
            if filter_3(x):
                x = scan_4_state[0] = scan_4(scan_4_state[0], x)
                to_5(x)
            if asked and await between(): return
        if x is END: break
        if await turn(): return"""
    )


def test_what_is_async_is_awaited():
    stream = Stream(lambda: both(1)).map(fetch).flat_map(both).filter(fetch)
    assert (
        stream.explain("code").partition("async def")[2]
        == """\
 loop(source):
    async for x in source:
        x = await map_2(x)
        inner2 = flat_map_3(x)
        async with closing(inner2):
            async for x1 in inner2:
                if await filter_4(x1):
                    pass
                if asked and await flat_map_3_over(): break
        if asked and await between(): return"""
    )


def test_an_item_that_another_branch_needs_keeps_its_name():
    stream = Stream([1])
    first, second = stream.map(double), stream.map(abs)
    text = first.merge(second).explain("code")
    assert "x1 = map_2(x)" in text
    assert "x = map_3(x)" in text


def test_nothing_of_the_user_s_gets_into_the_text():
    class Sneaky:
        __name__ = __qualname__ = "x\n    import os"

        def __call__(self, x):
            return x

    stream = Stream([1]).map(Sneaky()).filter(Sneaky())
    testing.run(stream.collect())
    code = "\n".join(
        line
        for line in stream.explain("code").split("\n")
        if not line.startswith(("#", "    import"))
    )
    assert "import" not in code
    assert [type(node).__name__ for node in ast.parse(code).body] == ["AsyncFunctionDef"]


# Nesting


def deepest(text):
    """How many loops and ``try`` are inside of each other in a function, and how far it is indented."""

    def blocks(node):
        inner = max((blocks(child) for child in ast.iter_child_nodes(node)), default=0)
        own = isinstance(
            node, ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Try
        )
        return inner + own

    indents = [(len(line) - len(line.lstrip())) // 4 for line in text.split("\n")]
    return max(blocks(f) for f in ast.parse(text).body), max(indents)


GRAPHS = {
    "filter": lambda s: s.filter(odd),
    "flat_map": lambda s: s.flat_map(pairs),
    "async flat_map": lambda s: s.flat_map(both),
    "policy": lambda s: s.map(double).on_error("skip"),
    "policy over flat_map": lambda s: s.flat_map(both).on_error("skip"),
    "branches": lambda s: s.partition(odd)[1].flat_map(pairs),
    "batch": lambda s: s.batch(2).flatten(),
    "group": lambda s: s.group_by(odd).scan(add).values(),
    "stamp": lambda s: s.event_time(double).flat_map(pairs),
}


@pytest.mark.parametrize("step", GRAPHS.values(), ids=GRAPHS)
def test_however_deep_a_graph_is_its_functions_are_within_what_python_takes(step):
    stream = Stream([1])
    for _ in range(40):
        stream = step(stream)
    blocks, indent = deepest(stream.explain("code"))
    assert blocks < 20
    assert indent < 50


def test_a_chain_that_is_not_deep_is_one_function():
    stream = Stream([1])
    for _ in range(DEEPEST - 5):
        stream = stream.filter(odd)
    assert "part_" not in stream.explain("code")
    for _ in range(5):
        stream = stream.filter(odd)
    assert "await part_1(x)" in stream.explain("code")
    stream = Stream([1])
    for _ in range(MOST_BLOCKS - 4):
        stream = stream.flat_map(pairs)
    assert "part_" not in stream.explain("code")
    for _ in range(5):
        stream = stream.flat_map(pairs)
    assert "await part_1(" in stream.explain("code")


@pytest.mark.parametrize("step", [GRAPHS["filter"], GRAPHS["flat_map"], GRAPHS["group"]])
def test_the_code_grows_with_the_graph_and_no_faster(step):
    def size(depth):
        stream = Stream([1])
        for _ in range(depth):
            stream = step(stream)
        return stream.explain("code").count("\n")

    assert size(80) < 2.5 * size(40)


# Compiling


def misses(run):
    before = compiled.cache_info().misses
    run()
    return compiled.cache_info().misses - before


CHAINS = {
    "plain": lambda s: s.map(double).filter(odd),
    "builtins": lambda s: s.map(abs).filter(bool).scan(max),
    "async": lambda s: s.map(fetch).flat_map(both),
    "settled by the first result": lambda s: s.map(lambda x: fetch(x)).filter({1: 1}.get),
    "mixed": lambda s: s.map(maybe_async(double)),
    "group": lambda s: s.group_by(odd).count().items(),
    "ends early": lambda s: s.take(2),
    "boundary": lambda s: s.buffer(2).merge([7]),
    "policy": lambda s: s.map(double).on_error("skip"),
    "pipe": lambda s: s.pipe(lambda items: items),
    "nested": lambda s: (s.map(double) + [1]).retry(1),
}


@pytest.mark.parametrize("make", CHAINS.values(), ids=CHAINS)
def test_a_chain_that_is_built_again_compiles_nothing(make):
    async def both_ways():
        source = make(Stream([1, 2, 3]))
        return await source.collect(), [item async for item in source]

    first = testing.run(both_ways())
    assert misses(lambda: testing.run(both_ways())) == 0
    assert testing.run(both_ways()) == first


def test_a_chain_of_the_same_shape_with_other_functions_compiles_nothing():
    def chain(first, second):
        return testing.run(Stream([1, 2, 3]).map(first).filter(second).collect())

    chain(double, odd)
    assert misses(lambda: chain(abs, bool)) == 0
    assert chain(abs, odd) == [1, 3]


def test_showing_the_code_compiles_nothing():
    stream = Stream([1]).map(double).zip(Stream([2]).filter(odd), [3])
    assert misses(lambda: stream.explain("code")) == 0


def test_tracebacks_and_debuggers_find_the_text():
    def fail(x):
        raise KeyError(x)

    with pytest.raises(KeyError) as caught:
        testing.run(Stream([1]).map(double).to(fail).run())
    [entry] = [entry for entry in caught.traceback if "<rivulet region" in str(entry.path)]
    assert "to_3(x)" in str(entry.statement)
