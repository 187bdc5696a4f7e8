import sched, signal, time, timeit, cProfile, pstats, io, tracemalloc, gc, sys, faulthandler, traceback
ran = []
s = sched.scheduler(time.monotonic, time.sleep)
s.enter(0.003, 1, ran.append, ("late",)); s.enter(0.001, 2, ran.append, ("early",)); s.enter(0.001, 1, ran.append, ("first",))
s.run()
print(ran, s.empty())
print(timeit.timeit("x + 1", "x = 1", number=100) >= 0)
profile = cProfile.Profile()
profile.enable(); sorted(range(100), key=lambda x: -x); profile.disable()
out = io.StringIO(); pstats.Stats(profile, stream=out).sort_stats("ncalls").print_stats(3)
print("function calls" in out.getvalue())
tracemalloc.start(); kept = [bytes(1000) for _ in range(100)]; print(tracemalloc.get_traced_memory()[0] > 100_000, len(tracemalloc.take_snapshot().statistics("lineno")) > 0); tracemalloc.stop()
class Node: pass
a, b = Node(), Node(); a.b, b.a = b, a; del a, b
print(gc.collect() >= 2, gc.isenabled(), sys.getrefcount(kept) >= 2, sys.getsizeof([]) > 0)
def inner(): raise KeyError("missing")
def outer():
    try: inner()
    except KeyError as error: raise RuntimeError("outer failed") from error
try:
    outer()
except RuntimeError as error:
    lines = traceback.format_exception(error)
    print(len(traceback.extract_tb(error.__traceback__)), lines[-1].strip(), any("direct cause" in l for l in lines), type(error.__cause__).__name__)
    error.add_note("noted"); print(traceback.format_exception_only(error)[-1].strip())
def handler(signum, frame): print("signal", signal.Signals(signum).name)
signal.signal(signal.SIGTERM, handler); signal.raise_signal(signal.SIGTERM)
print(signal.strsignal(signal.SIGINT) is not None, signal.getsignal(signal.SIGTERM) is handler)
print(time.strptime("2026-11-30", "%Y-%m-%d").tm_yday, time.asctime(time.gmtime(0)), time.localtime(86400 * 365).tm_year, time.timezone, round(time.monotonic_ns() / 1e9) >= 0)
