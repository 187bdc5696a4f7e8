/** What is mapped, and what is read in place of that. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GUEST_NODE_FLAGS } from "../sandbox.ts";
import { loadKoffi } from "./koffi.ts";
import { mappedBy } from "./mapped.ts";

const here = `linux-${process.arch}`;
const koffi = path.join(
  path.dirname(createRequire(import.meta.url).resolve(`@koromix/koffi-${here}`)),
  here.replace("-", "_"),
  "koffi.node",
);
/** Not a whole number of pages. */
const BYTES = 3 * 1024 * 1024 + 17;

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-mapped-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function fileOf(bytes: Uint8Array): Promise<string> {
  const file = path.join(folder, String(bytes.length));
  await writeFile(file, bytes);
  return file;
}

describe.runIf(process.platform === "linux")("a file", () => {
  const some = Buffer.alloc(BYTES, "some bytes, and others");

  it("is the same bytes mapped as read, and has a buffer of its own length", async () => {
    const map = mappedBy(loadKoffi(koffi));
    const mapped = map(await fileOf(some));
    expect(Buffer.compare(mapped, some)).toBe(0);
    expect(mapped.buffer.byteLength).toBe(BYTES);
    // in the process's memory under its name
    expect(readFileSync("/proc/self/maps", "utf8")).toContain(path.join(folder, String(BYTES)));
  });

  it.each([0, 5])("of %d bytes is read", async (size) => {
    const file = await fileOf(some.subarray(0, size));
    expect(Buffer.from(mappedBy(loadKoffi(koffi))(file))).toEqual(some.subarray(0, size));
    expect(readFileSync("/proc/self/maps", "utf8")).not.toContain(`${file}\n`);
  });

  it("is read where the kernel does not map it", async () => {
    const refused = { ...loadKoffi(koffi), load: () => ({ func: <Called>(): Called => (() => 2n ** 64n - 1n) as Called }) };
    expect(Buffer.compare(mappedBy(refused)(await fileOf(some)), some)).toBe(0);
  });

  it("that is not there fails as one that is read", () => {
    expect(() => mappedBy(loadKoffi(koffi))(path.join(folder, "none"))).toThrow(expect.objectContaining({ code: "ENOENT" }) as Error);
  });

  it("is a module that V8 takes, and its process ends well", async () => {
    const module = Buffer.concat([Buffer.from("0061736d01000000", "hex"), Buffer.from([0, 0x85, 0x80, 0x06, 0]), Buffer.alloc(98_308)]);
    const [names, file] = [["koffi.ts", "mapped.ts"].map((name) => new URL(name, import.meta.url).href), await fileOf(module)];
    const program = `import { loadKoffi } from ${JSON.stringify(names[0])};
      import { mappedBy } from ${JSON.stringify(names[1])};
      console.log(new WebAssembly.Module(mappedBy(loadKoffi(${JSON.stringify(koffi)}))(${JSON.stringify(file)})) instanceof WebAssembly.Module);`;
    const { stdout } = await promisify(execFile)(process.execPath, [...GUEST_NODE_FLAGS, "--input-type=module", "-e", program]);
    expect(stdout).toBe("true\n");
  });
});
