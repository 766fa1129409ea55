"""``rivulet demo``: a year of flights and weather in one stream of events."""
