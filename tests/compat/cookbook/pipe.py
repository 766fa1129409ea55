from asyncio import run, sleep

from asyncstdlib import pairwise, accumulate
from rivulet.compat import handle, stream

async def numbers(n=100):
    for i in range(n):
        await sleep(0.1)
        yield i

@handle(numbers(), pipe=[pairwise], sink=[print])
def handler(pair):
    yield pair

run(stream())
