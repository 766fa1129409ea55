from asyncio import run

from aiohttp import ClientSession
from rivulet.compat import handle, stream

URL = 'https://stream.wikimedia.org/v2/stream/recentchange'

async def read_streaming_api(url):
    async with ClientSession(raise_for_status=True) as session:
        async with session.get(url) as r:
            async for line in r.content:
                yield line

@handle(read_streaming_api(URL), sink=[print])
def handler(msg):
    yield f'Wiki change {msg}!'

run(stream())
