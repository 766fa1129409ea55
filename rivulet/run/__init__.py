"""Run a plan: loops, boundaries between them, timers, stopping and closing."""
