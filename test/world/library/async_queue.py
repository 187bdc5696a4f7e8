import asyncio, contextlib
async def producer(queue, n):
    for i in range(n):
        await asyncio.sleep(0.001 * (i % 3))
        await queue.put(i)
    await queue.put(None)
async def consumer(queue):
    got = []
    while (item := await queue.get()) is not None:
        got.append(item * item)
    return got
async def ticker():
    for i in range(3):
        yield i
        await asyncio.sleep(0)
@contextlib.asynccontextmanager
async def opened(name):
    print("open", name)
    try:
        yield name.upper()
    finally:
        print("close", name)
async def main():
    queue = asyncio.Queue(maxsize=2)
    _, got = await asyncio.gather(producer(queue, 6), consumer(queue))
    print(got)
    print([i async for i in ticker()])
    async with opened("db") as name:
        print(name)
    gate, seen = asyncio.Semaphore(2), []
    async def limited(n):
        async with gate:
            seen.append(n)
            await asyncio.sleep(0.001)
            return n
    print(await asyncio.gather(*(limited(n) for n in range(5))), len(seen))
    done, pending = await asyncio.wait([asyncio.create_task(asyncio.sleep(x, x)) for x in (0, 5)], return_when=asyncio.FIRST_COMPLETED)
    print([t.result() for t in done], len(pending))
    for task in pending:
        task.cancel()
    print(await asyncio.gather(*pending, return_exceptions=True))
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(9)
    except TimeoutError:
        print("timed out")
    event, lock = asyncio.Event(), asyncio.Lock()
    asyncio.get_running_loop().call_later(0.002, event.set)
    async with lock:
        print(await event.wait(), lock.locked())
    result = await asyncio.get_running_loop().run_in_executor(None, sum, range(10))
    print(result, await asyncio.to_thread(str.upper, "thread"))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(1))
            group.create_task(asyncio.wait_for(asyncio.sleep(5), 0.001))
    except* TimeoutError as group:
        print(len(group.exceptions))
asyncio.run(main())
