/** Python of which the machine code is made ahead: a little of what scripts usually do. What it computes, nobody reads. */
export const PRACTICE = String.raw`
import argparse, base64, bisect, collections, contextlib, copy, csv, dataclasses, datetime, enum, fnmatch, functools
import glob, hashlib, heapq, hmac, io, itertools, json, math, operator, os, pathlib, random, re, shutil
import string, struct, sys, tempfile, textwrap, time, traceback, typing, urllib.parse, uuid, zipfile, zlib


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Part:
    name: str
    size: int = 0
    tags: tuple[str, ...] = ()


class Kind(enum.Enum):
    BOLT = "bolt"
    NUT = "nut"


class Stack:
    def __init__(self):
        self.items = []

    def __len__(self):
        return len(self.items)

    @property
    def top(self):
        return self.items[-1]

    def push(self, *items, **named):
        self.items.extend(items)
        self.__dict__.update(named)
        return self


@contextlib.contextmanager
def inside(folder):
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def counted(n):
    for i in range(n):
        got = yield i
        if got is not None:
            return got


def records():
    parts = [Part(f"p{i % 5}", i * 17 % 11, (f"t{i % 2}",)) for i in range(30)]
    groups = {key: list(group) for key, group in itertools.groupby(sorted(parts), key=operator.attrgetter("name"))}
    changed = [dataclasses.replace(part, size=part.size + 1) for part in parts]
    stack = Stack().push(1, 2, *range(3), name="x")
    heap = heapq.nsmallest(3, [part.size for part in changed])
    hash(Kind("nut")), copy.deepcopy(groups), bisect.bisect([1, 2], 2)
    return len(stack), stack.top, groups.keys(), dataclasses.asdict(parts[0]), set(parts), heap


def texts():
    counter = collections.Counter(re.findall(r"(?P<word>[a-zäö]+)\s?", "Some words and some more Wörter".lower()))
    match = re.compile(r'(\S+) \[([^\]]+)\] "([A-Z]+) ([^ "]+)[^"]*" (\d{3}) (\d+|-)').search('h [12/Nov] "GET /a?b=1 HTTP/1.1" 200 17')
    re.sub(r"\?.*", lambda found: found[0].upper(), match[4]), re.split(r"\s+(?=b)|,", "a b,c"), re.escape("a.b")
    line = " ".join(["a", "b"]).replace("a", "c").strip().split()
    shown = f"{3.14159:>8.2f} {2.5e10:.3e} {'x':^5} {1_000_000:,} {255:#x} {line!r} %s %5.1f" % ("a", 1.5)
    shown += "{0:>4}{name}".format(1, name="n")
    sentence = string.Template("$a").substitute(a=1) + textwrap.dedent(textwrap.indent(textwrap.fill("some words " * 9, 30), "  "))
    parsed = urllib.parse.parse_qs(urllib.parse.urlsplit("http://a/b?c=d%20e").query)
    flags = ["a".isdigit(), "1".isalpha(), "ab".startswith(("a", "b")), "x" in shown, "b" > "a", "ß".casefold() == "ss"]
    fnmatch.fnmatch("a.py", "*.py"), "a\tb\n".splitlines(), shown[::-1].partition(" ")
    return counter.most_common(2), sentence.title().encode().decode("utf-8"), parsed, flags


def tables():
    text = json.dumps({"a": [1, 2.5, None, True, "ä"], "b": {"c": "d\n"}}, indent=1, sort_keys=True, ensure_ascii=False)
    assert json.loads(text)["b"] == json.loads(json.dumps(json.loads(text)))["b"]
    table = io.StringIO()
    csv.writer(table).writerows([["region", "amount"], ["north, east", 2.5], ["south", 1]])
    csv.DictWriter(table, ["region", "amount"]).writerow({"region": "west", "amount": 3})
    sums = collections.defaultdict(float)
    for row in csv.DictReader(io.StringIO(table.getvalue())):
        sums[row["region"]] += float(row["amount"])
    return sorted(sums.items(), key=lambda pair: -pair[1])


def files():
    root = pathlib.Path("practice")
    for i in range(6):
        folder = root / f"y{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{i}.txt").write_text(f"{i}\n" * i, encoding="utf-8")
    with open(root / "b.bin", "wb") as file:
        file.write(struct.pack("<IQd", 1, 2, 3.0))
    with open(root / "b.bin", "rb") as file, inside(root):
        file.seek(4)
        struct.unpack("<Q", file.read(8)), os.listdir(), glob.glob("*/*.txt"), list(os.walk("."))
    sizes = {path.suffix: path.stat().st_size for path in sorted(root.rglob("*")) if path.is_file()}
    (root / "y0/f0.txt").rename(root / "y0/g.txt").with_suffix(".md").exists()
    with open(root / "y1/f5.txt") as file, open(root / "out.txt", "a", newline="") as out:
        for number, line in enumerate(file):
            print(number, line.rstrip(), sep="\t", file=out)
    with zipfile.ZipFile(root / "c.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("x/y.txt", "some words\n" * 500)
        archive.write(root / "y1/f5.txt", "f5.txt")
    with zipfile.ZipFile(root / "c.zip") as archive:
        archive.testzip(), archive.namelist(), archive.extract("x/y.txt", "out")
        io.TextIOWrapper(archive.open("f5.txt")).readlines()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        shutil.copy(root / "out.txt", folder)
    shutil.rmtree("out"), os.remove(root / "c.zip")
    root.joinpath("..", "practice").resolve().relative_to("/"), pathlib.PurePosixPath("a/b.tar.gz").suffixes
    return sizes


def sums():
    piece = bytes(range(256)) * 8
    digests = [hashlib.new(name, piece).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b")]
    hmac.new(b"k", piece, "sha256").hexdigest(), zlib.decompress(zlib.compress(piece)), zlib.crc32(piece)
    base64.b64decode(base64.b64encode(piece)), base64.b85encode(piece[:8]), piece.hex(), uuid.UUID(int=1)
    int.from_bytes(piece[:8], "little").to_bytes(8, "big")
    numbers = [math.sqrt(n) ** 1.5 + n // 3 * 2 % 7 for n in range(20)]
    numbers += [divmod(10**30 + n, 7)[1] for n in range(3)] + [1 << 70 >> 3 & 0xFF ^ 5]
    round(sum(numbers), 2), complex(1, 2) * 3
    dice = random.Random(1)
    dice.shuffle(numbers), dice.choice(numbers), dice.randint(1, 6), sorted(dice.sample(range(100), 5))
    max(numbers), min(numbers), any(numbers), list(zip(numbers, map(str, numbers)))
    functools.reduce(lambda a, b: a + b, counted(9), 0), functools.lru_cache(abs)(-1), float("1e5"), int("7f", 16)
    return digests, list(filter(None, numbers)), {**{1: 2}, 3: 4}, [*numbers[1:-1:2]]


def days():
    at = datetime.datetime(2025, 1, 2, 3, 4, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=3, hours=2)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z"), at.isoformat(), datetime.date(2025, 1, 1).isocalendar()
    datetime.datetime.fromisoformat("2025-11-02T01:30:00-05:00") - at, datetime.datetime.strptime("2025-01-02", "%Y-%m-%d")
    return time.strftime("%j"), time.perf_counter(), datetime.date.today()


def words():
    parser = argparse.ArgumentParser(prog="words", description="Counts words.")
    parser.add_argument("files", nargs="+")
    parser.add_argument("-n", "--top", type=int, default=5, metavar="N", help="how many")
    parser.add_argument("--lower", action="store_true")
    parser.add_argument("--format", choices=("plain", "wide"), default="plain")
    parser.parse_args(["--top", "3", "--lower", "--format=wide", "text.txt"]), parser.format_help()
    try:
        parser.parse_args(["--none"])
    except SystemExit as error:
        return error.code


for each in (records, texts, tables, files, sums, days, words):
    each()
try:
    raise ValueError("it is to be caught") from KeyError("a")
except ValueError:
    traceback.format_exc()
for line in sys.stdin:
    print(line.strip(), os.environ.get("HOME", "/"), type(line).__name__, isinstance(line, typing.Hashable), flush=True)
print("done", file=sys.stderr)
`;
