"""The state of joins, apart from any task or loop."""
