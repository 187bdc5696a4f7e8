import asyncio, concurrent.futures, errno, queue, threading, time
# one thread can be had everywhere: what does not need another works, and what needs one can be caught
lock, condition, event, barrier, gate = threading.Lock(), threading.Condition(), threading.Event(), threading.Barrier(1), threading.BoundedSemaphore(1)
with lock, condition:
    print(lock.locked(), condition.wait(0.001), event.wait(0.001), barrier.wait())
event.set()
print(event.wait(), gate.acquire(blocking=False), gate.acquire(blocking=False))
gate.release()
try:
    gate.release()
except ValueError as error:
    print(error)
try:
    threading.Lock().release()
except RuntimeError as error:
    print(error)
print(threading.main_thread().name, threading.current_thread().daemon, threading.get_ident() == threading.main_thread().ident, len(threading.enumerate()))
def tried():
    ran = []
    try:
        thread = threading.Thread(target=ran.append, args=(1,))
        thread.start()
        thread.join()
    except RuntimeError:
        ran.append(1)
    return ran
print(tried())
line = queue.SimpleQueue()
line.put("x")
print(line.get(), line.empty(), [queue.LifoQueue(1).put_nowait(1)])
full = queue.Queue(maxsize=1)
full.put(1)
try:
    full.put(2, timeout=0.001)
except queue.Full:
    print("full")
full.get()
full.task_done()
full.join()
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    print(sorted(pool.map(len, ["a", "bb", "ccc"])))
async def both():
    loop = asyncio.get_running_loop()
    return await asyncio.gather(asyncio.to_thread(len, "four"), loop.run_in_executor(None, pow, 2, 5))
print(asyncio.run(both()))
