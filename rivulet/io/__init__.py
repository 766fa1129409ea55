"""Connectors: sources and sinks that other programs share."""
