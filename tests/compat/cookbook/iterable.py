from asyncio import run, sleep

from rivulet.compat import handle, stream

async def async_iterable(it):
    for msg in it:
        await sleep(0.01)
        yield msg

@handle(async_iterable('ab'), sink=[print])
def letters(msg):
    yield msg

@handle(async_iterable([1, 2]), sink=[print])
def numbers(msg):
    yield msg

run(stream())
