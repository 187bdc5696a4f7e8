import functools, json, re, copy, sys

@functools.lru_cache(None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(300))

class Shown:
    def __repr__(self):
        return repr(self)

class Grown:
    def __init__(self, depth):
        self.inner = Grown(depth - 1) if depth else None

    def __len__(self):
        return 1 if self.inner is None else 1 + len(self.inner)
print(len(Grown(200)))

def key(depth):
    return max([depth], key=lambda _: key(depth + 1))
nested = []
for _ in range(100000):
    nested = [nested]
for call in (lambda: repr(Shown()), lambda: key(0), lambda: repr(nested), lambda: json.dumps(nested), lambda: copy.deepcopy(nested)):
    try:
        call()
    except RecursionError as error:
        print(type(error).__name__)
sys.setrecursionlimit(20000)

def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)
print(deep(10000))
