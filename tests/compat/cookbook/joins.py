from datetime import datetime as dt

weather_messages = iter([
    {'timestamp': dt(2023, 1, 1, 10), 'value': '🌞'},
    {'timestamp': dt(2023, 1, 1, 11), 'value': '⛅'},
    {'timestamp': dt(2023, 1, 1, 12), 'value': '🌦️'},
    {'timestamp': dt(2023, 1, 1, 13), 'value': '🌧'},
])
activity_messages = iter([
    {'timestamp': dt(2023, 1, 1, 10, 30), 'value': 'swimming'}, # 🌞
    {'timestamp': dt(2023, 1, 1, 11, 30), 'value': 'walking home'}, # ⛅
    {'timestamp': dt(2023, 1, 1, 12, 30), 'value': 'shopping'}, # 🌦️
    {'timestamp': dt(2023, 1, 1, 13, 10), 'value': 'lunch'}, # 🌧
])

from asyncio import run, sleep

from rivulet.compat import Cache, handle, stream

weather_cache = Cache('state/weather')

async def async_iterable(it):
    for msg in it:
        await sleep(0.01)
        yield msg

@handle(async_iterable(weather_messages), sink=[weather_cache])
def weather_handler(w):
    unix_ts = w['timestamp'].timestamp()
    yield unix_ts, w

@handle(async_iterable(activity_messages), sink=[print])
def activity_handler(a):
    unix_ts = a['timestamp'].timestamp()

    for w in weather_cache.values(backwards=True, from_key=unix_ts):
        yield f'The weather during {a["value"]} was {w["value"]}'
        return

    yield a['value'], '?'

run(stream())
