import abc, collections, contextlib, dataclasses, enum, functools, operator, types, typing, weakref
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...
    def __init_subclass__(cls, **words):
        super().__init_subclass__()
        cls.words = words
@dataclasses.dataclass(order=True, frozen=True, slots=True)
class Square(Shape, unit="m"):
    side: float
    tags: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    def area(self): return self.side ** 2
try:
    Shape()
except TypeError as error:
    print(str(error)[:36])
a, b = Square(2), Square(3, ("x",))
print(a < b, dataclasses.replace(a, side=5), dataclasses.asdict(b), Square.words, hash(a) == hash(Square(2.0)))
try:
    a.side = 1
except dataclasses.FrozenInstanceError as error:
    print(error)
class Mode(enum.Flag):
    R = enum.auto()
    W = enum.auto()
    RW = R | W
class Level(enum.IntEnum):
    LOW, HIGH = 1, 2
print(Mode.R | Mode.W, Mode.W in Mode.RW, list(Level), Level["HIGH"] > Level.LOW, Level(2).name)
@functools.singledispatch
def show(x): return f"any {x}"
@show.register
def _(x: int): return f"int {x}"
@show.register(list)
def _(x): return f"list of {len(x)}"
print(show(1), show([1]), show("s"), functools.reduce(operator.mul, range(1, 20)), functools.partial(int, base=2)("1010"))
class Cached:
    @functools.cached_property
    def value(self):
        print("once")
        return 7
    def __class_getitem__(cls, key): return key
c = Cached()
print(c.value + c.value, Cached[3], typing.get_type_hints(Square)["side"], isinstance({}, collections.abc.Mapping))
gone = []
ref = weakref.finalize(c, gone.append, "gone")
del c
print(gone, ref.alive)
match {"kind": "circle", "r": 2, "more": [1, 2, 3]}:
    case {"kind": "circle", "r": int(r), "more": [first, *rest]}:
        print(r, first, rest)
Point = collections.namedtuple("Point", "x y", defaults=[0])
print(Point(1), Point(1)._replace(y=2)._asdict(), collections.Counter("mississippi").most_common(2), collections.ChainMap({"a": 1}, {"a": 2, "b": 3})["b"])
d = collections.OrderedDict.fromkeys("abc"); d.move_to_end("a")
print(list(d), collections.deque(range(5), maxlen=3), collections.defaultdict(list, {"k": [1]}))
with contextlib.ExitStack() as stack, contextlib.suppress(KeyError):
    stack.callback(print, "left")
    {}["x"]
print(types.SimpleNamespace(a=1), types.MappingProxyType({"a": 1})["a"])
