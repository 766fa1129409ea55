"""What a stream is: nodes, stages, callables, durations and event time. No task, no I/O."""
