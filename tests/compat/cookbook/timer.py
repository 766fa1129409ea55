from asyncio import run, sleep
from time import localtime, strftime

from rivulet.compat import handle, stream

async def timer(interval=1.0):
    while True:
        await sleep(interval)
        yield

@handle(timer())
def handler():
    print(strftime('%H:%M:%S', localtime()))

run(stream())
