/** How deep Python goes where C calls it again: as far as CPython elsewhere, with RecursionError at the end, in both builds of it. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { preparedCache } from "../../../test/shared.ts";
import { thoroughly } from "../../../test/thorough.ts";
import { WorkerPool, createSandbox, followTaken, originalOf, pythonRuntime, runtimeFiles, type Runtime, type Sandbox } from "./index.ts";
import type { WorkerJob, WorkerResult } from "./worker/job.ts";
import { withStack } from "./python-stack.ts";

let folder: string;
let python: Runtime;
let sandbox: Sandbox;
let pool: WorkerPool;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-stack-"));
  python = await pythonRuntime();
  sandbox = await createSandbox(path.join(folder, "sandbox"), await runtimeFiles(python, await preparedCache(folder)));
  pool = new WorkerPool(sandbox, path.join(folder, "pool"), 1);
  await pool.open();
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const digest = (bytes: string): string => createHash("sha256").update(bytes).digest("hex");

async function ran(source: string, breakpoints: WorkerJob["breakpoints"]): Promise<[WorkerResult, string]> {
  const worker = await pool.take();
  const guest = followTaken(worker);
  try {
    for (const blob of ["", source]) await writeFile(path.join(worker.folder, "blobs", digest(blob)), blob);
    await worker.hand(
      {
        module: "python",
        modulePath: sandbox.runtimePath(breakpoints === null ? python.name : originalOf(python)),
        ...{ prepared: breakpoints === null, comesWithEngine: true, keepPrepared: false, breakpoints },
        ...{ args: ["python", "/app/main.py"], env: [], stdin: digest(""), seed: "00".repeat(32), clockBaseMs: 0 },
        inputs: [{ path: "app/main.py", kind: "file", digest: digest(source), size: source.length }],
        mounts: [{ path: "/app", writable: false, keep: false }],
        preopens: [["/app", "/app"]],
        ...{ memoryMibMax: 256, diskMibMax: 64, outputMibMax: 1, fuelMax: "1000000000000000", runMsMax: 3_600_000 },
      },
      1,
    );
    const end = await guest.ended;
    if (end.kind !== "finished") throw new Error(JSON.stringify(end));
    return [end.result, await readFile(path.join(guest.folder, "stdout"), "utf8")];
  } finally {
    await guest.dispose();
  }
}

/** Each nests until it is told to end; the numbers are those of CPython 3.12 on Linux. */
const NESTED = `import abc, functools, re, sqlite3
def count(): count.n += 1
def tell(name, call):
    count.n = 0
    try: call()
    except (RecursionError, sqlite3.OperationalError): print(name, count.n)
class R:
    def __repr__(self): count(); return repr(self)
class N:
    def __new__(cls): count(); return N()
class A(abc.ABC):
    @classmethod
    def __subclasshook__(cls, other): count(); return issubclass(other, cls)
class H:
    def __hash__(self): count(); return hash(self)
def sub(match): count(); return re.sub('a', sub, 'a')
def key(_): count(); return max([1, 2], key=key)
db = sqlite3.connect(':memory:')
def query(_): count(); return db.execute('select f(1)').fetchone()[0]
db.create_function('f', 1, query)
tell('repr', lambda: repr(R()))
tell('new', N)
tell('abc', lambda: issubclass(int, A))
tell('hash', lambda: {H(): 1})
tell('sub', lambda: re.sub('a', sub, 'a'))
tell('key', lambda: key(1))
tell('sqlite', lambda: query(1))
@functools.lru_cache(None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(300))
`;
const COUNTED =
  "repr 374\nnew 499\nabc 299\nhash 499\nsub 498\nkey 500\nsqlite 749\n222232244629420445529739893461909967206666939096499764990979600\n";

it("nests as far as CPython elsewhere, and then raises RecursionError", async () => {
  const [{ ending, exitCode }, printed] = await ran(NESTED, null);
  expect({ ending, exitCode, printed }).toEqual({ ending: "exit", exitCode: 0, printed: COUNTED });
});

thoroughly("nests as far with breakpoints", async () => {
  const source = NESTED.replace(/^tell\('(?!repr).*\n/gm, "");
  const [plain, printed] = await ran(source, null);
  const [traced, again] = await ran(source, { kind: "trace", step: "100000000000", keepBytesMax: 0 });
  expect(printed).toMatch(/^repr 374\n\d+\n$/);
  expect(again).toBe(printed);
  expect([traced.fuel, traced.memoryHash]).toEqual([plain.fuel, plain.memoryHash]);
});

it("is made of the pinned module alone", async () => {
  const published = await readFile(python.file);
  const one = published.indexOf(Buffer.from("200028020c41f403360218", "hex"));
  expect(one).toBeGreaterThan(0);
  const other = Buffer.from(published);
  other[one] = 0x21;
  expect(() => withStack(other)).toThrow("its count of nested calls");
  expect(() => withStack(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]))).toThrow("not the Python");
});
