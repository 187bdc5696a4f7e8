import copyreg, datetime, decimal, fractions, io, marshal, pickle, pickletools, shelve, collections
class Account:
    def __init__(self, name, cents): self.name, self.cents, self.log = name, cents, []
    def __getstate__(self): return {"n": self.name, "c": self.cents}
    def __setstate__(self, state): self.name, self.cents, self.log = state["n"], state["c"], ["restored"]
    def __eq__(self, other): return (self.name, self.cents) == (other.name, other.cents)
value = [Account("ann", 5), {"t": (1, 2.5, 3j), "s": {1, 2}, "b": b"x\0", "d": decimal.Decimal("1.10"), "f": fractions.Fraction(1, 3)}, datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), collections.OrderedDict(a=1), range(3), len, Account, 2**100, None, ..., float("-inf")]
value.append(value[1])
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    text = pickle.dumps(value, protocol)
    again = pickle.loads(text)
    print(protocol, again[:-1] == value[:-1], again[-1] is again[1], again[0].log)
ring = []; ring.append(ring)
print(pickle.loads(pickle.dumps(ring))[0][0][0] is not None, pickletools.optimize(pickle.dumps("abc", 4)))
for bad in (lambda: 0, open("x", "w"), (i for i in ())):
    try:
        pickle.dumps(bad)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        print(type(error).__name__)
try:
    pickle.loads(b"garbage")
except pickle.UnpicklingError as error:
    print(error)
class Safe(pickle.Unpickler):
    def find_class(self, module, name): raise pickle.UnpicklingError(f"{module}.{name} is forbidden")
try:
    Safe(io.BytesIO(pickle.dumps(print))).load()
except pickle.UnpicklingError as error:
    print(error)
print(marshal.loads(marshal.dumps([1, "a", (2.5, None), {3: b"x"}])))
with shelve.open("kept", writeback=True) as kept:
    kept["list"] = [1]
    kept["list"].append(2)
with shelve.open("kept") as kept:
    print(dict(kept))
