import contextvars, functools, inspect, itertools, operator, sys
user = contextvars.ContextVar("user", default="nobody")
def who(): return user.get()
context = contextvars.copy_context()
context.run(user.set, "ann")
print(who(), context.run(who), context[user])
print(list(itertools.accumulate([1, 2, 3, 4], operator.mul)), [(k, len(list(g))) for k, g in itertools.groupby("aaabcc")], list(itertools.pairwise("abcd")))
print(list(itertools.zip_longest("ab", "xyz", fillvalue="-")), list(itertools.islice(itertools.cycle("ab"), 5)), len(list(itertools.product(range(3), repeat=3))), ["".join(p) for p in itertools.permutations("abc", 2)][:3])
print(list(itertools.takewhile(lambda x: x < 3, itertools.count())), list(itertools.compress("abcdef", [1, 0, 1, 0, 1, 1])), list(itertools.combinations_with_replacement("ab", 2)), list(itertools.starmap(pow, [(2, 5), (3, 2)])), [list(x) for x in itertools.tee([1, 2])])
def walk(tree):
    if isinstance(tree, list):
        for each in tree:
            yield from walk(each)
    else:
        got = yield tree
        if got: print("sent", got)
g = walk([1, [2, [3, 4]], 5])
print(next(g), g.send("x"), list(g))
@functools.wraps(who)
def wrapped(a, /, b: int = 2, *rest, c, **more): pass
print(inspect.signature(wrapped, follow_wrapped=False), inspect.getfullargspec(lambda x, y=1: x).defaults, wrapped.__name__)
@functools.lru_cache(maxsize=2)
def slow(n): return n * n
[slow(n) for n in (1, 2, 1, 3, 1)]
print(slow.cache_info(), functools.cmp_to_key(lambda a, b: b - a)(3) < functools.cmp_to_key(lambda a, b: b - a)(2))
try:
    raise ExceptionGroup("many", [ValueError(1), TypeError("two"), ExceptionGroup("in", [KeyError("k")])])
except* ValueError as e:
    print("values", e.exceptions)
except* (TypeError, KeyError) as e:
    print("others", len(e.exceptions))
def recurse(n): return 1 + recurse(n + 1)
try:
    recurse(0)
except RecursionError as error:
    print(type(error).__name__, sys.getrecursionlimit())
