"""Write the loop of a region: the ``async`` function that one would have written by hand.

The text is made from fixed templates and numbered names; nothing of the user's gets into it. All
state lives outside of the functions, so that a loop can be left between two items and another,
more special one go on over the same iterator.
"""

from __future__ import annotations

import functools
import linecache
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from types import CodeType

from rivulet.core.node import Node
from rivulet.core.stage import Combine, Group
from rivulet.plan import walks
from rivulet.plan.graph import Deliver, Plan, Put, Region
from rivulet.plan.steps import below, selected_values, visit
from rivulet.plan.writer import Item, Place, Shape, Writer, base

__all__ = ["Code", "compiled", "write"]


@dataclass(frozen=True, slots=True)
class Code:
    """The code of a region.

    Attributes:
        text: its source text: a function that takes what is bound and gives the functions.
        names: what has to be bound, in the order of the parameters.
        functions: the functions that it gives, in order.
        places: what each line works on.
        busy: for each line of the loop, the stages with timers whose branch it is in.
        source_line: the line in which the loop waits for its source.
        yields: the loop is an async generator of the results.
    """

    text: str
    names: tuple[str, ...]
    functions: tuple[str, ...]
    places: Mapping[int, Place]
    busy: Mapping[int, tuple[Node, ...]]
    source_line: int
    yields: bool


_files = count(1)


@functools.lru_cache(512)
def compiled(text: str) -> CodeType:
    """Compile a region's text, and show it to debuggers and tracebacks."""
    name = f"<rivulet region {next(_files)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return compile(text, name, "exec")


def write(plan: Plan, region: Region, shape: Shape) -> Code:
    """Write the functions of a region."""
    w = Writer(plan, region, shape)
    w.line("")  # the head, written when the names are known
    _loop(w)
    if not w.yields:
        if w.starts and not shape.begun:
            with w.function("start"):
                walks.start(w)
        with w.function("finish"):
            walks.finish(w)
    _walks(w)
    w.line(f"return {', '.join(w.functions)},")
    w.lines[0] = f"def region({', '.join(w.names)}):"
    return Code(
        text="\n".join(w.lines) + "\n",
        names=tuple(w.names),
        functions=tuple(w.functions),
        places=w.places,
        busy=w.busy,
        source_line=w.source_line,
        yields=w.yields,
    )


def _walks(w: Writer) -> None:
    """Everything beside the loop; a part may ask for further parts and policies."""
    live = [w.region.root, *w.branch(w.region.root)]
    stages = [node for node in live if not isinstance(node, Put | Deliver)]
    for node in stages:
        if w.is_clock(node) and w.tells(node):
            walks.advance(w, node)
        if node in w.timed:
            walks.tick(w, node)
        if w.is_ender(node):
            with w.function(f"ended_{base(w.plan, node)}"):
                walks.ended_below(w, node)
        stage = w.stage(node)
        if isinstance(stage, Group) and not stage.leave:
            walks.close_group(w, node)
    if w.plan.has_policy(w.region.root):
        walks.routed(w)
    if "on_mark" in w.hooks(w.region.root):
        walks.marked(w)
    written: set[Node] = set()
    parts = 0
    while True:
        todo = [n for n in (*w.failing, *w.guarding) if n not in written]
        if not todo and parts == len(w.parts):
            return
        for node in todo:
            written.add(node)
            (walks.failed if node in w.failing else walks.guard)(w, node)
        for name, node, item, checks in w.parts[parts:]:
            parts += 1
            with w.function(name, item.passed, checks=checks):
                visit(w, node, item)


def _loop(w: Writer) -> None:
    with w.function("loop", "source", loop=True):
        if w.yields and not w.shape.begun:
            walks.start(w)
        match w.shape.source:
            case "sync":
                _from_iterable(w)
            case "async":
                _from_async_iterable(w)
            case "inbox":
                _from_inbox(w)
        if w.yields:
            w.line(f"{w.use('finishing')}()")
            walks.finish(w)


def _item(w: Writer) -> Item:
    return Item("x", "t" if w.region.root in w.plan.stamped else "None")


def _body(w: Writer, item: Item) -> None:
    """What is done with what comes from the source: an item, or a sign that a boundary carries."""
    root = w.region.root
    if w.shape.held and w.shape.source != "sync":
        w.line(f"if {w.use('asked')}: await {w.use('held')}()")
    begun: tuple[Node, ...] = ()
    if root in w.timed:
        w.line(f"if {w.use('walking')}: await {w.use('walked')}()")
        begun = (root,)
    w.open = begun
    signs = False
    if item.t != "None":
        with w.block(f"if {item.x} is {w.use('MARK')}:"):
            if w.timed and not begun:
                w.line(f"if {w.use('walking')}: await {w.use('walked')}()")
            w.open = tuple(w.timed)
            if "on_mark" in w.hooks(root):
                w.line(f"await marked_{base(w.plan, root)}(i, {item.t})", root)
            else:
                walks.move(w, root, walks.passed(w, root, item.t))
            w.open = begun
        signs = True
    if w.plan.has_policy(root):
        with w.block(f"{'elif' if signs else 'if'} {item.x}.__class__ is {w.use('Failed')}:"):
            w.line(f"await failed({item.x}.failure, {item.t})")
        signs = True
    if signs:
        with w.block("else:"):
            _items(w, item)
    else:
        _items(w, item)
    w.open = ()


def _items(w: Writer, item: Item) -> None:
    root = w.region.root
    stage = w.stage(root)
    if isinstance(stage, Combine) and stage.make is not None:
        out = Item(w.variable(), w.variable("t"))
        selected = "".join(f", {value}" for value in selected_values(w, root, stage.select, item))
        call = f"{w.name(root)}(i, {item.x}, {item.t}{selected})"
        with w.block(f"for {out.x}, {out.t} in {call}:", root, item.x):
            w.count(root)
            below(w, root, out)
    else:
        w.count(root)
        below(w, root, item)


def _between(w: Writer) -> None:
    if not w.is_tallying:
        w.line(f"if {w.use('asked')} and await {w.use('between')}(): return")
        return
    with w.block(f"if {w.use('asked')}:"):
        w.flush()
        w.line(f"if await {w.use('between')}(): return")


def _from_iterable(w: Writer) -> None:
    """Never read ahead with a list: a generator's side effects would come out of order."""
    if not w.shape.counted or w.may_wait(w.region.root):
        _turns(w)
        return
    # Nobody can look at the counts between two turns, so until then they are local variables.
    begin = len(w.lines)
    w.line("")
    with w.tallying() as tallies:
        with w.block("try:"):
            _turns(w)
        with w.block("finally:"):
            w.flush()
    w.lines[begin] = f"{w.lines[begin]}{' = '.join(tallies)} = 0"


def _turns(w: Writer) -> None:
    item, root = _item(w), w.region.root
    with w.block("while True:"):
        w.line(f"x = {w.use('END')}")
        with w.block(f"for x in {w.use('islice')}(source, {w.use('turn')}.items):", root):
            _body(w, item)
            _between(w)
        w.line("if x is END: break")
        w.flush()
        w.line("if await turn(): return")


def _from_async_iterable(w: Writer) -> None:
    item, root = _item(w), w.region.root
    given = "x" if item.t == "None" else "x, t"
    with w.block(f"async for {given} in source:", root):
        w.source_line = len(w.lines)
        _body(w, item)
        _between(w)


def _from_inbox(w: Writer) -> None:
    item, root = _item(w), w.region.root
    stage = w.stage(root)
    tagged = isinstance(stage, Combine) and stage.make is not None
    given = ", ".join(
        name for name in ("i" if tagged else "", "x", item.t) if name not in ("", "None")
    )
    with w.block("while (batch := await source.take()) is not None:", root):
        w.source_line = len(w.lines)
        with w.block(f"for {given} in batch:", root):
            _body(w, item)
            _between(w)
