"""The state of windows, apart from any task or loop."""
