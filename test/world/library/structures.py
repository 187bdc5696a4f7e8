import collections.abc, enum, graphlib, ipaddress, colorsys, wave, struct, io, types, operator, reprlib, string
print([*graphlib.TopologicalSorter({"d": {"b", "c"}, "b": {"a"}, "c": {"a"}}).static_order()][0::3])
try:
    graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
except graphlib.CycleError as error:
    print(error.args[0])
net = ipaddress.ip_network("192.168.4.0/22")
print([str(n) for n in net.subnets(new_prefix=24)], ipaddress.ip_address("192.168.5.9") in net, net.broadcast_address, ipaddress.ip_address("2001:db8::1").exploded, list(ipaddress.collapse_addresses([ipaddress.ip_network("10.0.0.0/25"), ipaddress.ip_network("10.0.0.128/25")])), ipaddress.ip_interface("10.1.2.3/8").network)
try:
    ipaddress.ip_network("10.0.0.1/24")
except ValueError as error:
    print(error)
with wave.open("tone.wav", "wb") as w:
    w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000)
    w.writeframes(b"".join(struct.pack("<h", (i * 997) % 20000 - 10000) for i in range(800)))
with wave.open("tone.wav") as w: print(w.getparams(), w.readframes(2).hex())
print(colorsys.rgb_to_hsv(0.2, 0.4, 0.4), [round(x, 6) for x in colorsys.hls_to_rgb(0.5, 0.4, 0.3)])
class Bag(collections.abc.MutableSequence):
    def __init__(self, *items): self.items = list(items)
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def __setitem__(self, i, v): self.items[i] = v
    def __delitem__(self, i): del self.items[i]
    def insert(self, i, v): self.items.insert(i, v)
bag = Bag(3, 1, 2); bag.append(9); bag.reverse(); bag += [7]
print(list(bag), 9 in bag, bag.index(1), sorted(bag, key=operator.neg), bag.pop())
class Vector:
    __slots__ = ("x", "y")
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, o): return Vector(self.x + o.x, self.y + o.y)
    def __rmul__(self, k): return Vector(k * self.x, k * self.y)
    def __matmul__(self, o): return self.x * o.x + self.y * o.y
    def __repr__(self): return f"Vector({self.x}, {self.y})"
    def __bool__(self): return bool(self.x or self.y)
    def __format__(self, spec): return f"<{self.x:{spec}},{self.y:{spec}}>"
print(2 * Vector(1, 2) + Vector(0, 1), Vector(1, 2) @ Vector(3, 4), bool(Vector(0, 0)), f"{Vector(1.5, 2):.2f}")
class Meta(type):
    def __new__(mcs, name, bases, space): return super().__new__(mcs, name, bases, {**space, "made": name.lower()})
class Thing(metaclass=Meta):
    def __set_name__(self, owner, name): print("named", name)
    def __get__(self, obj, kind): return "got"
class Owner: field = Thing()
print(Owner().field, Thing.made, reprlib.repr(list(range(100))), type("Dyn", (), {"v": 1})().v, sorted({3: "c", 1: "a"}.items(), reverse=True), {**{"a": 1}, "b": 2} | {"a": 3}, [*range(3), *"ab"])
a, *b, (c, d) = 1, 2, 3, (4, 5)
print(a, b, c, d, {x: y for x, y in zip("ab", range(2))}, {x % 3 for x in range(9)}, any(x > 5 for x in range(3)), max("aB", key=str.lower), [x for x in range(20) if x % 2 if x % 3], sorted("bca", reverse=True), slice(1, None, 2).indices(5), "abcdef"[::-2])
