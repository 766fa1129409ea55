from asyncio import run

from rivulet.compat import handle, stream


async def read_streaming_api(url):
    for line in (b"first", b"second"):
        yield line


wiki_changes = read_streaming_api("https://stream.wikimedia.org/v2/stream/recentchange")


@handle(wiki_changes)
def first_handler(msg):
    print("first handler:", msg)


@handle(wiki_changes)
def second_handler(msg):
    print("second handler:", msg)


run(stream())
