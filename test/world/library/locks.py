import threading, queue
l = threading.Lock()
with l:
    print(l.locked())
loc = threading.local()
loc.x = 1
print(loc.x, threading.current_thread().name, threading.main_thread() is threading.current_thread())
e = threading.Event()
print(e.wait(0.01))
e.set()
print(e.wait())
c = threading.Condition()
with c:
    print(c.wait(0.01))
q = queue.Queue(1)
q.put(1)
try:
    q.put(2, timeout=0.01)
except queue.Full:
    print('full')
s = threading.Semaphore(0)
print(s.acquire(timeout=0.01), s.acquire(blocking=False))
