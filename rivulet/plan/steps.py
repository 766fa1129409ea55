"""How an item goes through each kind of stage: the templates of the loop's body."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from string import Template, digits

from rivulet.core.node import Node
from rivulet.core.stage import (
    Apply,
    Channel,
    Effect,
    Expand,
    Group,
    Lines,
    Stamp,
    Step,
    Test,
    Transform,
)
from rivulet.plan.graph import Deliver, Put
from rivulet.plan.writer import Item, Writer, base

__all__ = ["below", "pipe_outputs", "selected_values", "visit"]


def below(w: Writer, node: Node, item: Item, port: str = "") -> None:
    """Take an item through all branches of an output, in their order."""
    children = w.live(node, port)
    for position, child in enumerate(children):
        last = position == len(children) - 1
        mine = replace(item, own=item.own and last)
        if not w.part(child, mine):
            visit(w, child, mine)


def visit(w: Writer, node: Node, item: Item) -> None:
    """Take an item into a node."""
    opened = w.open
    w.nested += 1
    if node in w.timed:
        if w.checks:
            w.line(f"if {w.use('walking')}: await {w.use('walked')}()")
        w.open = (*opened, node)
    if isinstance(node, Put):
        _put(w, node, item)
    elif isinstance(node, Deliver):
        _deliver(w, node, item)
    else:
        match w.stage(node):
            case Apply() as stage:
                _apply(w, node, stage, item)
            case Test() as stage:
                _test(w, node, stage, item)
            case Expand() as stage:
                _expand(w, node, stage, item)
            case Effect() as stage:
                _effect(w, node, stage, item)
            case Stamp() as stage:
                _stamp(w, node, stage, item)
            case Transform():
                _transform(w, node, item)
            case Group() as stage:
                _group(w, node, stage, item)
            case _:
                below(w, node, item)
    w.nested -= 1
    w.open = opened


# Calls


def _take(w: Writer, name: str, target: str, call: str, node: Node, x: str) -> None:
    """Assign the result of a call, awaited if it is to be."""
    match w.shape.modes.get(name, "sync"):
        case "async":
            w.line(f"{target} = await {call}", node, x)
        case "sync" | "agen":
            w.line(f"{target} = {call}", node, x)
        case "mixed":
            w.line(f"{target} = {call}", node, x)
            w.line(f"if {w.use('awaited')}[{target}.__class__]: {target} = await {target}", node, x)
        case "unknown":
            w.line(f"{target} = {call}", node, x)
            unsettled = f"{target} is not None and {target} is not False"
            settled = f"{w.use('settle')}({name!r}, {target})"
            w.line(f"if {unsettled} and {settled}: {target} = await {target}", node, x)


def _take_checked(w: Writer, name: str, target: str, call: str, node: Node, x: str) -> None:
    """The same for a result that no sink will see, and so no check there."""
    _take(w, name, target, call, node, x)
    if name in w.shape.strays:
        check = f"if {target}.__class__ is {w.use('coroutine')}: "
        w.line(f"{check}{w.use('stray')}({target}, {name!r})", node, x)


def _is_settled(w: Writer, name: str) -> bool:
    return w.shape.modes.get(name, "sync") in ("sync", "async")


def _target(w: Writer, name: str, item: Item) -> str:
    """Where a result goes: into the item's own name, if nothing else needs that or it may fail."""
    return item.x if item.own and _is_settled(w, name) else w.variable()


def _arguments(w: Writer, node: Node, stage: Step, item: Item) -> str:
    """The arguments of a stage's call; selectors are called first."""
    arguments = [f"*{item.x}" if stage.spread else item.x, *_selected(w, node, stage, item)]
    if stage.stamps in ("own", "need"):
        arguments.append(item.t)
    return ", ".join(arguments)


def _selected(w: Writer, node: Node, stage: Step, item: Item) -> Iterator[str]:
    """The names of what a stage's selectors give."""
    for number in range(len(stage.select)):
        name, value = w.name(node, f"_by{number}"), w.variable("v")
        _take_checked(w, name, value, f"{name}({item.x})", node, item.x)
        yield value


def _called(w: Writer, node: Node, stage: Step, item: Item) -> str:
    """The name of what is called: the user's function, or the call of the logic."""
    return w.name(node) if stage.fn is not None else _logic(w, node, item)


def _logic(w: Writer, node: Node, item: Item, suffix: str = "") -> str:
    """The name of a logic's call or cell: one for the run, or one for each key."""
    if node in w.slots:
        return f"{item.g}[{w.slots[node]}]"
    return w.name(node, suffix)


@contextmanager
def _guarded(w: Writer, node: Node, item: Item) -> Generator[None]:
    """The lines that may fail; what comes after them is written in the ``else`` of a ``try``."""
    with w.block("try:"):
        yield
    w.failing[node] = None
    with w.block("except Exception as error:"):
        t = item.t if w.carries(node) else "None"
        w.line(f"await failed_{base(w.plan, node)}({item.x}, {t}, error)")


@contextmanager
def _after_guard(w: Writer, *, guarded: bool) -> Generator[None]:
    if not guarded:
        yield
        return
    with w.block("else:"):
        yield


@contextmanager
def _maybe_guarded(w: Writer, node: Node, item: Item) -> Generator[bool]:
    guarded = w.plan.has_policy(node)
    if not guarded:
        yield False
        return
    with _guarded(w, node, item):
        yield True


def selected_values(w: Writer, node: Node, select: tuple[object, ...], item: Item) -> Iterator[str]:
    """The names of what a combining stage's selectors give; None for a sign."""
    for number in range(len(select)):
        name, value = w.name(node, f"_by{number}"), w.variable("v")
        w.line(f"{value} = None")
        with w.block(f"if {item.x} is not {w.use('CLOSED')}:"):
            _take_checked(w, name, value, f"{name}({item.x})", node, item.x)
        yield value


# Stages


def _apply(w: Writer, node: Node, stage: Apply, item: Item) -> None:
    with _maybe_guarded(w, node, item) as guarded:
        if stage.fold:
            target = _folded(w, node, stage, item)
        else:
            name = base(w.plan, node)
            target = _target(w, name, item)
            call = f"{_called(w, node, stage, item)}({_arguments(w, node, stage, item)})"
            _take(w, name, target, call, node, item.x)
    with _after_guard(w, guarded=guarded):
        below(w, node, replace(item, x=target, own=item.own or target != item.x))


def _folded(w: Writer, node: Node, stage: Step, item: Item) -> str:
    """Call the user's function on the state and the item; give the name of what goes on."""
    name = w.name(node)
    cell = _logic(w, node, item, "_state")
    call = f"{name}({cell}[0], {item.x})"
    if stage.fold == "map":
        target = _target(w, name, item)
        if _is_settled(w, name) and name not in w.shape.strays:
            wait = "await " if w.shape.modes[name] == "async" else ""
            w.line(f"{cell}[0], {target} = {wait}{call}", node, item.x)
        else:
            pair = w.variable()
            _take_checked(w, name, pair, call, node, item.x)
            w.line(f"{cell}[0], {target} = {pair}", node, item.x)
        return target
    if "first" in w.hooks(node):
        target = w.variable()
        with w.block(f"if {cell}:"):
            _take_checked(w, name, target, call, node, item.x)
            w.line(f"{cell}[0] = {target}")
        with w.block("else:"):
            w.line(f"{cell}.append({item.x})")
            w.line(f"{target} = {item.x}")
        return target
    settled = _is_settled(w, name) and name not in w.shape.strays
    if stage.fold == "fold" and settled:
        wait = "await " if w.shape.modes[name] == "async" else ""
        w.line(f"{cell}[0] = {wait}{call}", node, item.x)
        return item.x
    target = _target(w, name, item)
    if settled:
        _take(w, name, f"{target} = {cell}[0]", call, node, item.x)
    else:
        _take_checked(w, name, target, call, node, item.x)
        w.line(f"{cell}[0] = {target}")
    return target


def _test(w: Writer, node: Node, stage: Test, item: Item) -> None:
    name = base(w.plan, node)
    main, other = w.live(node), w.live(node, "no")
    three_ways = stage.fn is None and bool(other)
    if "after" in w.hooks(node):
        item = replace(item, own=False)
    with _maybe_guarded(w, node, item) as guarded:
        call = f"{_called(w, node, stage, item)}({_arguments(w, node, stage, item)})"
        settled = _is_settled(w, name) and not guarded and name not in w.shape.strays
        if settled and not three_ways:
            condition = f"await {call}" if w.shape.modes.get(name) == "async" else call
        else:
            condition = w.variable("keep")
            _take_checked(w, name, condition, call, node, item.x)
    with _after_guard(w, guarded=guarded):
        if other and not main and not w.shape.counted:
            refused = f"{condition} is False" if three_ways else f"not {condition}"
            with w.block(f"if {refused}:", node, item.x):
                below(w, node, item, "no")
        else:
            with w.block(f"if {condition}:", node, item.x):
                w.count(node)
                below(w, node, item)
            if other:
                with w.block(f"elif {condition} is False:" if three_ways else "else:"):
                    below(w, node, item, "no")
    _after(w, node, stage, item)


def _expand(w: Writer, node: Node, stage: Expand, item: Item) -> None:
    if stage.fold:
        with _maybe_guarded(w, node, item):
            _folded(w, node, stage, item)
        return
    if stage.fn is not None:
        _expand_by_function(w, node, stage, item)
        return
    if stage.quiet:
        with _maybe_guarded(w, node, item):
            if stage.lines is None:
                call = f"{_logic(w, node, item)}({_arguments(w, node, stage, item)})"
                w.line(call, node, item.x)
            else:
                _written_out(w, node, stage, stage.lines, item)
        return
    pair = stage.stamps in ("own", "need")
    out = Item(w.variable(), w.variable("t") if pair else item.t, item.g)
    if w.plan.has_policy(node):
        outputs = w.variable("r")
        with _guarded(w, node, item):
            arguments = _arguments(w, node, stage, item)
            w.line(f"{outputs} = {_logic(w, node, item)}({arguments})", node, item.x)
    else:
        outputs = f"{_logic(w, node, item)}({_arguments(w, node, stage, item)})"
    with _after_guard(w, guarded=w.plan.has_policy(node)):
        head = f"for {out.x}, {out.t} in" if pair else f"for {out.x} in"
        with w.block(f"{head} {outputs}:", node, item.x):
            w.count(node)
            below(w, node, out if pair else replace(item, x=out.x, own=True))
            _leave_early(w, node)
    if "after" in w.hooks(node):
        w.line(f"{w.name(node, '_after')}()")


def _written_out(w: Writer, node: Node, stage: Expand, lines: Lines, item: Item) -> None:
    """The lines of a stage, under names of this place."""
    values = _selected(w, node, stage, item)
    names = {f"v{number}": value for number, value in enumerate(values)}
    names |= {"item": item.x, "t": item.t, "state": _logic(w, node, item, "_state")}
    names.setdefault("v0", "None")
    for line in lines.text:
        template = Template(line)
        for name in template.get_identifiers():
            if name in lines.names:
                names[name] = w.name(node, f"_{name}")
            elif name not in names:
                names[name] = w.variable(name.rstrip(digits))
        w.line(template.substitute(names), node, item.x)


def _expand_by_function(w: Writer, node: Node, stage: Expand, item: Item) -> None:
    name = w.name(node)
    out = replace(item, x=w.variable(), own=True)
    if w.plan.has_policy(node):
        _expand_guarded(w, node, stage, item, out)
        return
    call = f"{name}({_arguments(w, node, stage, item)})"
    if w.shape.modes[name] == "sync":
        if name in w.shape.strays:
            outputs = w.variable("inner")
            w.line(f"{outputs} = {call}", node, item.x)
            check = f"if {w.use('asynchronous')}[{outputs}.__class__]: "
            w.line(f"{check}{w.use('stray')}({outputs}, {name!r})", node, item.x)
            call = outputs
        with w.block(f"for {out.x} in {call}:", node, item.x):
            _each_output(w, node, out)
        return
    inner = w.variable("inner")
    match w.shape.modes[name]:
        case "agen":
            w.line(f"{inner} = {call}", node, item.x)
        case "unknown":
            w.line(f"{inner} = {call}", node, item.x)
            w.line(f"{w.use('settle')}({name!r}, {inner}, checked=True)", node, item.x)
            w.line(f"{inner} = {w.use('each')}({inner})", node, item.x)
        case _:
            w.line(f"{inner} = {w.use('each')}({call})", node, item.x)
    closing = w.block(f"async with {w.use('closing')}({inner}):")
    with closing, w.block(f"async for {out.x} in {inner}:", node, item.x):
        _each_output(w, node, out)


def _expand_guarded(w: Writer, node: Node, stage: Expand, item: Item, out: Item) -> None:
    """The same by hand, so that only the function's own iterator is inside of the ``try``."""
    inner, name = w.variable("inner"), w.name(node)
    with _guarded(w, node, item):
        arguments = _arguments(w, node, stage, item)
        w.line(f"{inner} = {w.use('each')}({name}({arguments}))", node, item.x)
    closing = w.block(f"async with {w.use('closing')}({inner}):")
    with _after_guard(w, guarded=True), closing, w.block("while True:"):
        with w.block("try:"):
            w.line(f"{out.x} = await anext({inner})", node, item.x)
        with w.block("except StopAsyncIteration:"):
            w.line("break")
        with w.block("except Exception as error:"):
            t = item.t if w.carries(node) else "None"
            w.line(f"await failed_{base(w.plan, node)}({item.x}, {t}, error)")
            w.line("break")
        _each_output(w, node, out)


def _each_output(w: Writer, node: Node, out: Item) -> None:
    w.count(node)
    below(w, node, out)
    _leave_early(w, node, always=True)


def _leave_early(w: Writer, node: Node, *, always: bool = False) -> None:
    """Leave an inner loop when nothing below wants more, and let others run beside a long one."""
    if always or w.may_be_left(node):
        w.line(f"if {w.use('asked')} and await {w.name(node, '_over')}(): break")


def _effect(w: Writer, node: Node, stage: Effect, item: Item) -> None:
    if "after" in w.hooks(node):
        item = replace(item, own=False)
    with _maybe_guarded(w, node, item) as guarded:
        if stage.fn is not None:
            _check_item(w, node, node, item)
        arguments = _arguments(w, node, stage, item)
        name = w.name(node) if stage.fn is not None else _logic(w, node, item)
        call = f"{name}({arguments})"
        if stage.fn is None:
            if stage.awaits:
                w.line(f"if (r := {call}) is not None: await r", node, item.x)
            else:
                w.line(call, node, item.x)
        else:
            match w.shape.modes[name]:
                case "sync":
                    w.line(call, node, item.x)
                case "async":
                    w.line(f"await {call}", node, item.x)
                case _:
                    awaited = f"{w.use('awaited')}[r.__class__]"
                    w.line(f"if (r := {call}) is not None and {awaited}: await r", node, item.x)
    with _after_guard(w, guarded=guarded):
        below(w, node, item)
    _after(w, node, stage, item)


def _after(w: Writer, node: Node, stage: Step, item: Item) -> None:
    """Tell a stage that its item has gone through everything below it."""
    if "after" in w.hooks(node):
        call = f"{w.name(node, '_after')}()"
        w.line(f"if (r := {call}) is not None: await r" if stage.awaits else call, node, item.x)


def _stamp(w: Writer, node: Node, stage: Stamp, item: Item) -> None:
    if node not in w.plan.stamped:
        below(w, node, item)
        return
    t = w.variable("t")
    clock, part = w.name(node, "_clock"), ""
    with _maybe_guarded(w, node, item) as guarded:
        v = w.variable("v")
        w.line(f"{v} = {w.name(node)}({item.x})", node, item.x)
        # Most times are POSIX seconds; whatever else it is, a function finds out.
        w.line(
            f"{t} = round({v} * 1000000) if {v}.__class__ is float and -6e10 < {v} < 2.5e11 "
            f"else {w.name(node, '_micros')}({v})",
            node,
            item.x,
        )
        if stage.partition is not None:
            name = w.name(node, "_partition")
            part = w.variable("v")
            _take_checked(w, name, part, f"{name}({item.x})", node, item.x)
    with _after_guard(w, guarded=guarded):
        if stage.idle is not None:
            w.line(f"{w.name(node, '_heard')}({part})")
        told = w.tells(node)
        opened, w.open = w.open, (*w.open, *(n for n in w.timed if w.is_below(n, node)))
        if stage.partition is not None:
            mark = w.variable("w")
            w.line(f"{mark} = {w.name(node, '_observe')}({part}, {t})")
            with w.block(f"if {mark} > {clock}.top:"):
                _advance(w, node, mark, told, clock)
                w.line(f"{clock}.top = {mark}")
        else:
            with w.block(f"if {t} > {clock}.top:"):
                _advance(w, node, f"{clock}.at({t})", told, clock, t)
                w.line(f"{clock}.top = {t}")
        w.open = opened
        below(w, node, replace(item, t=t))


def _advance(
    w: Writer, node: Node, watermark: str, told: bool, clock: str, top: str | None = None
) -> None:
    if told:
        if w.checks and w.timed:
            w.line(f"if {w.use('walking')}: await {w.use('walked')}()")
        w.line(
            f"if {top or watermark} >= {clock}.due: "
            f"await advance_{base(w.plan, node)}({watermark})",
            node,
        )


def _transform(w: Writer, node: Node, item: Item) -> None:
    pipe_outputs(w, node, f".put({item.x})", item.x)


def pipe_outputs(w: Writer, node: Node, begin: str, x: str | None) -> None:
    """Step a pipe until it asks for its next item; each output goes down before the next.

    While its function runs, it is the current task. Where nothing below waits, that is said once
    for an item and not for each step.
    """
    pipe, need, out = w.name(node, "_pipe"), w.use("NEED"), w.use("OUT")
    task, here = w.name(node, "_task"), f"{w.use('current')}[{w.use('here')}]"
    leave = f"{here} = this"
    # An async generator may be driven by one task after another.
    enter = f"this, {here} = {here}, {task}" if w.is_generator else f"{here} = {task}"
    given, waits = w.variable("r"), w.may_wait(node)
    w.line(enter)
    with w.block("try:"):
        w.line(f"{given} = {pipe}{begin}", node, x)
        with w.block(f"while {given} is not {need}:"):
            if waits:
                w.line(leave)
            with w.block(f"if {given} is not {out}:"):
                if not waits:
                    w.line(leave)
                w.line(f"if await {w.name(node, '_wait')}({given}): break", node, x)
                if not waits:
                    w.line(enter)
            item = Item(w.variable())
            w.line(f"{item.x} = {pipe}.out")
            w.count(node)
            below(w, node, item)
            w.line(f"if {w.use('asked')} and await {w.name(node, '_over')}(this): break")
            if waits:
                w.line(enter)
            w.line(f"{given} = {pipe}.go(None)", node, x)
    with w.block("finally:"):
        w.line(f"if {here} is {task}: {leave}" if w.is_generator else leave)


def _group(w: Writer, node: Node, stage: Group, item: Item) -> None:
    if stage.leave:
        target = item.x
        if stage.leave == "pairs":
            target = item.x if item.own else w.variable()
            w.line(f"{target} = ({item.g}[0], {item.x})")
        below(w, node, replace(item, x=target, g="", own=item.own or target != item.x))
        return
    name = w.name(node)
    key, g = w.variable("k"), w.variable("g")
    with _maybe_guarded(w, node, item) as guarded:
        _take_checked(w, name, key, f"{name}({item.x})", node, item.x)
        w.line(f"{g} = {w.name(node, '_state')}({key})", node, item.x)
    with _after_guard(w, guarded=guarded):
        if stage.max_keys is not None:
            w.line(f"for g in {w.name(node, '_spare')}(): await close_{base(w.plan, node)}(g)")
        below(w, node, replace(item, g=g))


def _put(w: Writer, node: Put, item: Item) -> None:
    to = node if node.to is None else node.to
    _check_item(w, node, to, item)
    given = [item.x]
    if w.carries(node):
        given.append(item.t)
    stage = None if node.to is None else w.stage(node.to)
    if isinstance(stage, Channel) and stage.work is not None and stage.work.by is not None:
        name, key = w.name(node, "_by0"), w.variable("k")
        _take_checked(w, name, key, f"{name}({item.x})", to, item.x)
        given.append(key)
    put, room = w.name(node), w.name(node, "_room")
    w.line(f"if {put}({', '.join(given)}): await {room}()", to, item.x)


def _check_item(w: Writer, node: Node, to: Node, item: Item) -> None:
    """Where items leave the loop: look for an awaitable in place of an item."""
    if w.may_stray(node):
        check = f"if {item.x}.__class__ is {w.use('coroutine')}: "
        w.line(f"{check}{w.use('stray')}({item.x})", to, item.x)


def _deliver(w: Writer, node: Deliver, item: Item) -> None:
    if w.shape.results != "none":
        _check_item(w, node, node.target, item)
    match w.shape.results:
        case "yield":
            if not w.in_loop:
                w.yields = False
            w.line(f"yield {item.x}")
        case "call":
            w.line(f"{w.use('result')}({item.x})")
        case "none":
            pass
