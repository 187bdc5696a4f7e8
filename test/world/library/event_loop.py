import asyncio, contextlib

@contextlib.asynccontextmanager
async def m():
    print('in')
    yield
    print('out')

async def gen():
    for i in range(3):
        yield i
        await asyncio.sleep(0)

async def main():
    async with m():
        print([i async for i in gen()])
    async with asyncio.timeout(1):
        await asyncio.sleep(0.01)
    sem = asyncio.Semaphore(2)

    async def w(i):
        async with sem:
            await asyncio.sleep(0.01)
            return i
    print(await asyncio.gather(*map(w, range(4)), return_exceptions=True))
    q = asyncio.PriorityQueue()
    await q.put((2, 'b'))
    await q.put((1, 'a'))
    print(await q.get())
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, print, 'later')
    await asyncio.sleep(0.05)
    print(await loop.run_in_executor(None, pow, 2, 5))
    ev = asyncio.Event()
    loop.call_soon(ev.set)
    await ev.wait()
    t = asyncio.create_task(asyncio.sleep(10))
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        print('cancelled')
    barrier = asyncio.Barrier(2)
    await asyncio.gather(barrier.wait(), barrier.wait())
    print('barrier')
asyncio.run(main(), debug=True)
with asyncio.Runner() as r:
    print(r.run(asyncio.sleep(0, 'x')))
