from asyncio import run

from aiohttp import ClientSession
from rivulet.compat import handle, stream

url = 'https://stream.wikimedia.org/v2/stream/recentchange'
seen = []

async def read_streaming_api(url):
    async with ClientSession(raise_for_status=True) as session:
        async with session.get(url) as r:
            async for line in r.content:
                yield line

wiki_changes = read_streaming_api(url)

@handle(wiki_changes)
def first_handler(msg):
    seen.append(('first', msg))

@handle(wiki_changes)
def second_handler(msg):
    seen.append(('second', msg))

run(stream())
