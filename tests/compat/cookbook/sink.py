from asyncio import run

from redis import Redis
from rivulet.compat import handle, stream

async def messages():
    for _ in range(2):
        for emoji in '🏆📞🐟👌':
            yield emoji

r = Redis(host='localhost', port=6379, charset='utf-8', decode_responses=True)

def cache(pair: tuple):
    r.set(*pair)

@handle(messages(), sink=[cache])
def handler(msg):
    count = int(r.get(msg)) + 1 if msg in r else 1
    yield msg, count

run(stream())

print({k: int(r[k]) for k in r.keys('*')})
