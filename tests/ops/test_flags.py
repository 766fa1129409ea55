"""What is True or False is nothing else: ``ordered="no"`` would be true."""

from datetime import timedelta

import pytest

from rivulet import GraphError, Stream

STAMPED = Stream([1]).event_time(lambda n: n)

FLAGS = {
    "map(ordered)": lambda flag: STAMPED.map(str, concurrency=2, ordered=flag),
    "starmap(ordered)": lambda flag: STAMPED.starmap(str, concurrency=2, ordered=flag),
    "zip(strict)": lambda flag: STAMPED.zip([1], strict=flag),
    "timer(align)": lambda flag: Stream.timer(1, align=flag),
    "join_asof(exact)": lambda flag: STAMPED.join_asof(STAMPED, exact=flag),
    "join_asof(revise)": lambda flag: STAMPED.join_asof(STAMPED, revise=flag),
    "join_interval(revise)": lambda flag: STAMPED.join_interval(
        STAMPED, before=timedelta(1), after=0, revise=flag
    ),
    "gate(replay)": lambda flag: STAMPED.gate(on=STAMPED, marker=str, replay=flag),
}


@pytest.mark.parametrize("argument", FLAGS)
@pytest.mark.parametrize("value", ["no", 0, None])
def test_a_flag_that_is_neither_true_nor_false_is_refused(argument, value):
    with pytest.raises(GraphError) as caught:
        FLAGS[argument](value)
    assert str(caught.value) == f"{argument} must be True or False, not {value!r}"
