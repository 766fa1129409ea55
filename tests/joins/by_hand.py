"""The logic of a join without a run, and what a run would tell it."""

from __future__ import annotations

from hypothesis import strategies as st

from rivulet.core.entries import IDLE
from rivulet.core.time import FOREVER

ENDS = [(1, "mark", FOREVER), (0, "mark", FOREVER)]


class ByHand:
    """The logic of one run, and what the loop does with it."""

    stamped, stopping, paused = True, False, False

    def __init__(self, join, time=0.0):
        self.time = time
        self.wakes = []
        self.ended = False
        self.logic = join.make(self)

    def now(self):
        return self.time

    def wake_at(self, when):
        self.wakes.append(when)

    def end(self):
        self.ended = True

    def do(self, step):
        """An item or a mark of a side, or that time passes; what comes of it, and the clock."""
        side, what, t = step
        if what == "mark":
            given = self.logic.on_mark(side, t)
        elif what == "wait":
            self.time += t
            due = [when for when in self.wakes if when <= self.time]
            self.wakes = [when for when in self.wakes if when > self.time]
            given = self.logic.on_timer(self.time) if due and self.logic.on_timer else ()
        else:
            given = self.logic.call(side, what, t)
        return list(given), self.logic.passes(t), self.ended


@st.composite
def steps(draw):
    """Items and marks of both sides as a run would give them, late ones too."""
    found, tops = [], [0, 0]
    for n in range(draw(st.integers(0, 20))):
        side = draw(st.integers(0, 1))
        match draw(st.sampled_from(["item", "item", "item", "mark", "idle", "wait"])):
            case "item":
                key = draw(st.sampled_from("ab"))
                found.append((side, (key, n), draw(st.integers(max(0, tops[side] - 2), 20))))
            case "mark":
                tops[side] = draw(st.integers(tops[side], 20))
                found.append((side, "mark", tops[side]))
            case "idle":
                found.append((side, "mark", IDLE))
            case "wait":
                found.append((side, "wait", draw(st.sampled_from([1, 2, 10]))))
    return [*found, *ENDS]


def check_resuming(join, given, cut, saved):
    """Saved after a step and restored elsewhere, it goes on as if nothing had happened."""
    run = ByHand(join)
    for step in given[:cut]:
        run.do(step)
    resumed = [ByHand(join, run.time), ByHand(join, run.time)]
    state = run.logic.snapshot()
    resumed[0].logic.restore(state)
    resumed[1].logic.restore(saved(state))
    for step in given[cut:]:
        # What waits for a while begins to wait anew.
        if step[1] != "wait":
            wanted = run.do(step)
            assert [again.do(step) for again in resumed] == [wanted, wanted]


def check_watermarks(join, given):
    """Without late items, no result is behind the watermark that was passed on before."""
    run, passed, tops = ByHand(join), -(2**63), [-(2**63)] * 2
    for step in given:
        side, what, t = step
        if (what == "mark" and t == IDLE) or (what not in ("mark", "wait") and t < tops[side]):
            return
        if what == "mark":
            tops[side] = max(tops[side], t)
        results, watermark, _ = run.do(step)
        assert all(stamp >= passed for _, stamp in results)
        passed = max(passed, watermark)
