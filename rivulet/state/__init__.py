"""Ordered, durable state: what a `Cache` stands on."""
