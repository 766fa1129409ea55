from asyncio import run, sleep

from rivulet.compat import Cache, handle, stream

cache = Cache('state/emoji')

async def messages():
    events = [
        ('🏆', 0.0), ('📞', 0.5), ('🐟', 1.0), ('👌', 2.0),
        ('🏆', 3.5), ('📞', 4.0), ('🐟', 5.0), ('👌', 5.5)
    ]
    for emoji, ts in events:
        await sleep(0.1)
        yield emoji, ts

from collections import Counter

window_size_seconds = 3.0

@handle(messages(), sink=[print])
async def sliding_handler(event):
    _, event_time = event

    events = cache.get('sliding_events', [])
    events.append(event)

    # Keep events within window_size_seconds of current event_time
    events = [
        (e, t) for e, t in events
        if event_time - t <= window_size_seconds
    ]
    cache.put('sliding_events', events)

    counts = Counter(emoji for emoji, _ in events)
    return f'Sliding window ending at {event_time}: {dict(counts)}'

run(stream())
