"""The other ways through the stages: time goes on, a timer is due, input ends, an item failed.

Each walk takes the stages in order. What a stage gives goes down through everything below it
before the stages below are told the same: so a window after a window gets the results of the
first before its own time moves.
"""

from __future__ import annotations

from rivulet.core.node import Node
from rivulet.core.stage import Group, Guard, Stamp, Step, Transform
from rivulet.plan.graph import Deliver, Put
from rivulet.plan.steps import below, pipe_outputs, visit
from rivulet.plan.writer import Item, Writer, base

__all__ = [
    "advance",
    "close_group",
    "ended_below",
    "failed",
    "finish",
    "guard",
    "marked",
    "move",
    "passed",
    "routed",
    "start",
    "tick",
]


def _gives_own_stamps(w: Writer, node: Node) -> bool:
    stage = w.stage(node)
    return not isinstance(stage, Step) or stage.stamps in ("own", "need")


def _outputs(w: Writer, node: Node, call: str, g: str = "") -> None:
    """Send what a stage gives down through everything below it."""
    x = w.variable()
    if _gives_own_stamps(w, node):
        t = w.variable("t")
        with w.block(f"for {x}, {t} in {call}:", node):
            w.count(node)
            below(w, node, Item(x, t, g))
    else:
        with w.block(f"for {x} in {call}:", node):
            w.count(node)
            below(w, node, Item(x, g=g))


# Time


def advance(w: Writer, clock: Node) -> None:
    """Tell the branch below an event clock that the watermark is that far."""
    name = base(w.plan, clock)
    with w.function(f"advance_{name}", "watermark"):
        _advance_below(w, clock)
        w.line(f"{w.name(clock, '_retime')}()")


def _advance_below(w: Writer, node: Node) -> None:
    for child in w.every(node):
        if isinstance(child, Put):
            if w.carries(child):
                w.line(f"{w.name(child, '_mark')}(watermark)")
            continue
        if isinstance(child, Deliver) or isinstance(w.stage(child), Stamp):
            continue
        if "on_time" in w.hooks(child):
            _outputs(w, child, f"{w.name(child, '_on_time')}(watermark)")
        if w.is_clock(child):
            move(w, child, f"{w.name(child, '_passes')}(watermark)")
        else:
            _advance_below(w, child)


def move(w: Writer, clock: Node, watermark: str) -> None:
    """Set a clock that gets its watermark from above."""
    mark = w.variable("w")
    name = w.name(clock, "_clock")
    w.line(f"{mark} = {watermark}")
    with w.block(f"if {mark} > {name}.top:"):
        if w.tells(clock):
            w.line(f"if {mark} >= {name}.due: await advance_{base(w.plan, clock)}({mark})", clock)
        w.line(f"{name}.top = {mark}")


def passed(w: Writer, root: Node, watermark: str) -> str:
    """What is left of a watermark where the root keeps items back."""
    return f"{w.name(root, '_passes')}({watermark})" if "passes" in w.hooks(root) else watermark


def marked(w: Writer) -> None:
    """The watermark of one input has come to a stage that is told so."""
    root = w.region.root
    with w.function(f"marked_{base(w.plan, root)}", "i, watermark", checks=True):
        _outputs(w, root, f"{w.name(root, '_on_mark')}(i, watermark)")
        move(w, root, passed(w, root, "watermark"))


def tick(w: Writer, node: Node) -> None:
    """A timer of one stage is due."""
    stage = w.stage(node)
    with w.function(f"tick_{base(w.plan, node)}", "now"):
        match stage:
            case Transform():
                pipe_outputs(w, node, ".tick()", None)
            case Stamp():
                _silence(w, node)
            case Group():
                _close_groups(w, node, f"{w.name(node, '_idle')}(now)")
            case _:
                _outputs(w, node, f"{w.name(node, '_on_timer')}(now)")


def _silence(w: Writer, node: Node) -> None:
    """An input was silent for long: readers across boundaries stop waiting for it."""
    mark = w.variable("w")
    clock = w.name(node, "_clock")
    w.line(f"{mark} = {w.name(node, '_silent')}(now)")
    with w.block(f"if {mark} is {w.use('IDLE')}:"):
        for put in w.branch(node):
            if isinstance(put, Put) and w.carries(put):
                w.line(f"{w.name(put, '_mark')}({w.use('IDLE')})")
    with w.block(f"elif {mark} > {clock}.watermark:"):
        if w.tells(node):
            w.line(f"await advance_{base(w.plan, node)}({mark})", node)
        w.line(f"{clock}.floor = {mark}")


# Begin and end


def start(w: Writer) -> None:
    """Send on what stages give before the first item, the last stage of a branch first."""
    _start_below(w, w.region.root)


def _start_below(w: Writer, node: Node) -> None:
    for child in w.every(node):
        _start_below(w, child)
    if "on_start" in w.hooks(node):
        _outputs(w, node, f"{w.name(node, '_on_start')}()")
    elif not isinstance(node, Put | Deliver) and isinstance(w.stage(node), Transform):
        pipe_outputs(w, node, ".go(None)", None)
    if "again" in w.hooks(node):
        x, t = w.variable(), w.variable("t")
        with w.block(f"for {x}, {t} in {w.name(node, '_again')}():"):
            visit(w, node, Item(x, t if w.carries(node) else "None"))


def finish(w: Writer) -> None:
    """Input has ended: send on what the stages still hold."""
    root = w.region.root
    if "on_end" in w.hooks(root):
        _outputs(w, root, f"{w.name(root, '_on_end')}()")
    ended_below(w, root)


def ended_below(w: Writer, node: Node) -> None:
    """Input has ended for everything below a stage."""
    for child in w.every(node):
        if isinstance(child, Put):
            w.line(f"{w.name(child, '_close')}()")
            continue
        if isinstance(child, Deliver):
            continue
        stage = w.stage(child)
        if isinstance(stage, Transform):
            pipe_outputs(w, child, ".end()", None)
        elif isinstance(stage, Group) and not stage.leave:
            _close_groups(w, child, f"{w.name(child, '_all')}()")
        elif "on_end" in w.hooks(child) and child not in w.slots:
            _outputs(w, child, f"{w.name(child, '_on_end')}()")
        ended_below(w, child)


def _close_groups(w: Writer, node: Node, groups: str) -> None:
    w.line(f"for g in {groups}: await close_{base(w.plan, node)}(g)")


def close_group(w: Writer, node: Node) -> None:
    """A key's state is given up: send on what the stages of its group still hold."""
    with w.function(f"close_{base(w.plan, node)}", "g"):
        for child in w.branch(node):
            if child in w.slots and "on_end" in w.hooks(child) and w.group_of(child) is node:
                _outputs(w, child, f"g[{w.slots[child] + 1}]()", "g")


# Failures


def failed(w: Writer, node: Node) -> None:
    """Take the failure of a stage's own call to the policies below it, or raise it again."""
    name = base(w.plan, node)
    with w.function(f"failed_{name}", "item, t, error"):
        w.line(f"failure = {w.name(node, '_caught')}(item, error)", node, "item")
        _route(w, node)


def routed(w: Writer) -> None:
    """Take a failure that came through a boundary on to the policies below it."""
    root = w.region.root
    with w.function("failed", "failure, t"):
        w.line(f"{w.name(root, '_caught')}(failure.item, failure.error)", root)
        _route(w, root)


def _route(w: Writer, node: Node) -> None:
    for child in w.every(node):
        if isinstance(child, Put):
            beyond = child.to is None or w.plan.has_policy(child.to)
            if beyond:
                given = "failure, t" if w.carries(child) else "failure"
                fail = w.name(child, "_fail")
                w.line(f"if {fail}({given}): await {w.name(child, '_room')}()")
        elif isinstance(child, Deliver):
            continue
        elif isinstance(w.stage(child), Guard):
            w.guarding[child] = None
            w.line(f"await guard_{base(w.plan, child)}(failure, t)")
        else:
            _route(w, child)


def guard(w: Writer, node: Node) -> None:
    """Do with a failure what the policy says, and send it into the stream of errors."""
    stage = w.stage(node)
    assert isinstance(stage, Guard)
    with w.function(f"guard_{base(w.plan, node)}", "failure, t"):
        handle = w.name(node)
        w.line(
            f"if (r := {handle}(failure)) is not None and {w.use('awaited')}[r.__class__]: await r",
            node,
            "failure",
        )
        t = "t" if node in w.plan.stamped else "None"
        if stage.inline:
            below(w, node, Item("failure", t))
        below(w, node, Item("failure", t, own=False), "errors")
