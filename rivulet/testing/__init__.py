"""For tests of streams: time that jumps, marbles, recording sources and sinks.

>>> from rivulet import testing
>>> testing.run(Stream.timer("1h").take(2).collect())
[0, 1]
"""

from rivulet.testing.clock import VirtualLoop, run, timed
from rivulet.testing.marbles import MarbleError, Marbles, marbles, to_marbles
from rivulet.testing.probes import Recorder, RecordingSource, assert_closed, stamps

__all__ = [
    "MarbleError",
    "Marbles",
    "Recorder",
    "RecordingSource",
    "VirtualLoop",
    "assert_closed",
    "marbles",
    "run",
    "stamps",
    "timed",
    "to_marbles",
]
