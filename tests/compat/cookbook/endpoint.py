from asyncio import gather, run, sleep
from time import strftime

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from uvicorn import Config, Server

from rivulet.compat import Cache, handle, stream

app, cache = FastAPI(), Cache('db')

async def timer(interval=1.0):
    while True:
        yield
        await sleep(interval)

@handle(timer(), sink=[cache, print])
def tick_tock():
    yield 'time', strftime('%H:%M:%S')

async def cache_value_updates():
    async for _, v in cache:
        yield v + '\n'

@app.get('/updates')
async def updates():
    return StreamingResponse(
        cache_value_updates(),
        media_type='text/event-stream'
    )

async def main():
    config = Config(app=app, host='0.0.0.0', port=8000)
    server = Server(config)
    await gather(stream(), server.serve())

if __name__ == '__main__':
    run(main())
