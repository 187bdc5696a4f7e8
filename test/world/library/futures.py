import queue, threading, time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait, FIRST_EXCEPTION, CancelledError
def work(n):
    if n == 3: raise ValueError("three")
    return n * 10
with ThreadPoolExecutor(max_workers=4, thread_name_prefix="w") as pool:
    jobs = {pool.submit(work, n): n for n in range(5)}
    print(sorted((jobs[f], "error" if f.exception() else f.result()) for f in as_completed(jobs)))
    print(list(pool.map(work, [1, 2], timeout=10)))
    done, rest = wait([pool.submit(work, 3)], return_when=FIRST_EXCEPTION)
    print(len(done), len(rest), repr(done.pop().exception()))
    seen = []
    pool.submit(work, 1).add_done_callback(lambda f: seen.append(f.result()))
print(seen)
try:
    pool.submit(work, 1)
except RuntimeError as error:
    print(error)
local = threading.local(); local.x = 1
print(threading.current_thread() is threading.main_thread(), local.x, threading.active_count(), threading.RLock().acquire(), threading.Lock().acquire(timeout=0.01))
q = queue.PriorityQueue()
for item in ((2, "b"), (1, "a"), (3, "c")): q.put(item)
print([q.get()[1] for _ in range(3)], q.empty())
try:
    queue.Queue().get_nowait()
except queue.Empty:
    print("empty")
begun = time.monotonic(); time.sleep(0.01)
print(time.monotonic() - begun >= 0.01, time.perf_counter_ns() > 0, time.process_time() >= 0, time.time() > 1.6e9)
