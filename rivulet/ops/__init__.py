"""What a stream can do: one operator, one file; a frozen node and a function."""

from rivulet.ops.attempt import attempt
from rivulet.ops.batch import batch
from rivulet.ops.beat import beat
from rivulet.ops.buffer import buffer
from rivulet.ops.catch import catch
from rivulet.ops.changes import changes
from rivulet.ops.channel import channel
from rivulet.ops.combine_latest import combine_latest
from rivulet.ops.concat import concat
from rivulet.ops.count import count
from rivulet.ops.create import empty, fail, never, of, timer, using
from rivulet.ops.debounce import debounce
from rivulet.ops.default import default
from rivulet.ops.delay import delay
from rivulet.ops.distinct import distinct
from rivulet.ops.enumerate import enumerate  # noqa: A004  # the field's name
from rivulet.ops.event_time import event_time
from rivulet.ops.filter import filter  # noqa: A004
from rivulet.ops.flat_map import flat_map
from rivulet.ops.flatten import flatten
from rivulet.ops.fold import fold
from rivulet.ops.gate import gate, stale
from rivulet.ops.group_by import group_by
from rivulet.ops.hooks import hooks
from rivulet.ops.item import item
from rivulet.ops.join import join
from rivulet.ops.join_asof import join_asof
from rivulet.ops.join_interval import join_interval
from rivulet.ops.keep_alive import keep_alive
from rivulet.ops.lookup import lookup
from rivulet.ops.map import map  # noqa: A004
from rivulet.ops.merge import merge
from rivulet.ops.merge_sorted import merge_sorted
from rivulet.ops.on_error import errors, on_error
from rivulet.ops.pairwise import pairwise
from rivulet.ops.partition import partition
from rivulet.ops.pipe import pipe
from rivulet.ops.rate_limit import rate_limit
from rivulet.ops.reduce import reduce
from rivulet.ops.reorder import reorder
from rivulet.ops.repeat import repeat
from rivulet.ops.retry import retry
from rivulet.ops.route import route
from rivulet.ops.scan import scan
from rivulet.ops.share import share
from rivulet.ops.skip import skip
from rivulet.ops.skip_while import skip_while
from rivulet.ops.starmap import starmap
from rivulet.ops.start_with import start_with
from rivulet.ops.stateful_map import stateful_map
from rivulet.ops.switch_map import switch_map
from rivulet.ops.take import take
from rivulet.ops.take_last import take_last
from rivulet.ops.take_until import take_until
from rivulet.ops.take_while import take_while
from rivulet.ops.tap import tap
from rivulet.ops.throttle import throttle
from rivulet.ops.timeout import timeout
from rivulet.ops.to import to
from rivulet.ops.window import window
from rivulet.ops.with_latest_from import with_latest_from
from rivulet.ops.zip import zip  # noqa: A004

__all__ = [
    "attempt",
    "batch",
    "beat",
    "buffer",
    "catch",
    "changes",
    "channel",
    "combine_latest",
    "concat",
    "count",
    "debounce",
    "default",
    "delay",
    "distinct",
    "empty",
    "enumerate",
    "errors",
    "event_time",
    "fail",
    "filter",
    "flat_map",
    "flatten",
    "fold",
    "gate",
    "group_by",
    "hooks",
    "item",
    "join",
    "join_asof",
    "join_interval",
    "keep_alive",
    "lookup",
    "map",
    "merge",
    "merge_sorted",
    "never",
    "of",
    "on_error",
    "pairwise",
    "partition",
    "pipe",
    "rate_limit",
    "reduce",
    "reorder",
    "repeat",
    "retry",
    "route",
    "scan",
    "share",
    "skip",
    "skip_while",
    "stale",
    "starmap",
    "start_with",
    "stateful_map",
    "switch_map",
    "take",
    "take_last",
    "take_until",
    "take_while",
    "tap",
    "throttle",
    "timeout",
    "timer",
    "to",
    "using",
    "window",
    "with_latest_from",
    "zip",
]
