"""Gates: what a stream remembers of those that it depends on. No asyncio in here."""
