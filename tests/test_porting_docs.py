"""docs/porting.md: each row of its table gives the same both ways, and its code what it says."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
from itertools import count
from pathlib import Path

import pytest

from rivulet import Stream, stream, testing
from rivulet.compat.registry import Registry

DOCS = Path(__file__).parent.parent / "docs" / "porting.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
MINUTE = 60

text = DOCS.read_text()
definitions, *examples = [body for kind, body in BLOCK.findall(text) if kind in ("python", "text")]
brokers = count()


def rows():
    """What the rows of the table are about, the two scripts of each, and what comes out."""
    table = text.partition("| | ported |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        what, *cells = line.strip("|").split("|")
        ported, fluent, out = ("\n".join(CODE.findall(cell)) for cell in cells)
        yield pytest.param(ported, fluent, out, id=what.strip())


async def execute(source, names):
    """Run a script as a notebook would; give what its last line does."""
    tree = ast.parse(source)
    if isinstance(last := tree.body[-1], ast.Expr):
        tree.body[-1] = ast.copy_location(
            ast.Assign([ast.Name("_", ast.Store())], last.value), last
        )
    code = compile(
        ast.fix_missing_locations(tree), DOCS.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result
    return names.get("_")


async def out_of(script):
    """What is in ``out`` after a script of the table, a minute later at most."""
    names = {"__name__": "__main__"}
    with Registry() as registry:
        # What is in memory stays there as long as the process.
        exec(definitions.replace("memory://porting", f"memory://porting-{next(brokers)}"), names)
        with names["cache"], contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MINUTE):
                made = await execute(script, names)
                if isinstance(made, Stream):
                    await made.run()
                elif registry.handlers and "await stream(" not in script:
                    await stream()
    return names["out"]


@pytest.mark.parametrize(("ported", "fluent", "out"), list(rows()))
async def test_a_row_gives_the_same_both_ways(ported, fluent, out):
    assert "handle(" in ported
    assert "handle(" not in fluent
    assert repr(await out_of(ported)) == out
    assert repr(await out_of(fluent)) == out


def test_every_thing_that_is_defined_for_the_table_is_used_in_it():
    table = text.partition("| | ported |")[2]
    tree = ast.parse(definitions)
    defined = {node.name for node in tree.body if hasattr(node, "name")}
    unused = [name for name in defined if name not in table and definitions.count(name) < 2]
    assert not unused


def test_the_code_below_the_table_prints_what_it_says():
    assert len(examples) % 2 == 0
    names = {"__name__": "__main__"}
    with Registry(), asyncio.Runner(loop_factory=testing.VirtualLoop) as runner:
        for source, shown in zip(examples[::2], examples[1::2], strict=True):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                runner.run(execute(source, names))
            assert printed.getvalue() == shown
