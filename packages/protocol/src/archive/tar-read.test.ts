/** Archives that would take more of their reader than they are worth, and those that look like them and are right. */
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headerOf, paxOf, summed, type Part } from "@xenoservers/testkit";
import { TarDamage, readTar, type TarEntry } from "./tar-read.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-tar-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function entriesOf(...parts: Part[]): Promise<TarEntry[]> {
  const file = path.join(folder, "archive");
  const whole = Buffer.concat([...parts, Buffer.alloc(1024)]);
  await writeFile(file, whole);
  const handle = await open(file, "r");
  try {
    const found: TarEntry[] = [];
    for await (const entry of readTar(handle, whole.length)) found.push(entry);
    return found;
  } finally {
    await handle.close();
  }
}
async function refusal(...parts: Part[]): Promise<string> {
  const error: unknown = await entriesOf(...parts).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof TarDamage ? error.message : `not refused: ${String(error)}`;
}

const FILE = headerOf("file", "0", 0);
const sparse = [
  ["GNU.sparse.major", "1"],
  ["GNU.sparse.minor", "0"],
  ["GNU.sparse.realsize", "9"],
] as const;

describe("headers before an entry", () => {
  it("are read as long as programs write them", async () => {
    const long = `${"d/".repeat(500)}file`;
    const [entry] = await entriesOf(paxOf(["path", long], ["SCHILY.xattr.user.a", "x".repeat(60_000)]), FILE);
    expect(entry).toMatchObject({ name: long, kind: "file", xattrs: [["user.a", "x".repeat(60_000)]] });
    const named = headerOf("././@LongLink", "L", long.length, long);
    expect((await entriesOf(named, headerOf("././@LongLink", "K", 3, "to\0"), headerOf("f", "2", 0)))[0]).toMatchObject({
      name: long,
      target: "to",
    });
    // each entry has its own
    expect(await entriesOf(...Array.from({ length: 40 }, () => [paxOf(["path", "a"]), FILE]).flat())).toHaveLength(40);
  });
  it("are bounded together, however small each is", async () => {
    const half = paxOf(["SCHILY.xattr.user.a", "x".repeat(600_000)]);
    expect(await refusal(half, half, FILE)).toMatch(/^the headers before an entry are larger than/);
    const global = headerOf("g", "g", 600_000, "x".repeat(600_000));
    expect(await refusal(global, global, FILE)).toMatch(/larger than/);
    expect(await refusal(...Array.from({ length: 17 }, () => paxOf(["path", "a"])), FILE)).toMatch(/more than 16 headers/);
  });
});

describe("a size in an extended header", () => {
  // node-tar took it for the next header's, whatever that was: what scanned an archive saw other files than what unpacked it
  it.each([
    ["long name", headerOf("././@LongLink", "L", 5, "long\0"), "long"],
    ["long link target", headerOf("././@LongLink", "K", 3, "to\0"), "file"],
    ["global header", headerOf("g", "g", 3, "abc"), "file"],
    ["label", headerOf("label", "V", 0), "file"],
  ])("is the entry's, also where a %s stands between them", async (_, between, name) => {
    const entries = await entriesOf(
      paxOf(["size", "512"]),
      between,
      headerOf("file", "0", 3, Buffer.alloc(512, "x")),
      headerOf("b", "0", 2, "bb"),
    );
    expect(entries.map((entry) => [entry.name, entry.size])).toEqual([
      [name, 512],
      ["b", 2],
    ]);
  });

  it("is a whole number of zero or more, as the header's own is", async () => {
    for (const size of ["-1", "-512", "1.5", "", " 1", "1e3", "0x1", "99999999999999999999"])
      expect(await refusal(paxOf(["size", size]), FILE)).toContain("something that is no number");
    const below = Buffer.from(FILE);
    below.fill(0xff, 124, 136);
    below.fill(" ", 148, 156);
    below.write(
      `${below
        .reduce((all, byte) => all + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
      "latin1",
    );
    expect(await refusal(below)).toBe("an entry's size is below zero");
  });
  it("and so are those of GNU's old sparse files, which base 256 could say to be less than nothing", async () => {
    const saying = (size: number, ...map: readonly number[]): Part => {
      const header = headerOf("name", "S", 0).subarray(0, 512);
      const put = (value: number, at: number): void => {
        header.fill(value < 0 ? 0xff : 0, at, at + 12);
        if (value >= 0) header[at] = 0x80;
        header.writeInt32BE(value, at + 8);
      };
      map.forEach((value, i) => put(value, 386 + 12 * i));
      put(size, 483);
      return summed(header);
    };
    expect((await entriesOf(saying(700, 0, 0, 700, 0)))[0]).toMatchObject({ size: 700, pieces: [] });
    expect(await refusal(saying(-154))).toBe("an entry's size is below zero");
    // the second takes back what the first has too much
    expect(await refusal(saying(700, 0, 88, 88, -88))).toBe("an entry's map is below zero");
    expect(await refusal(saying(700, -1, 0))).toBe("an entry's map is below zero");
  });
});

/** Where programs disagree, what is seen here is what container engines see: no scanner may be shown other files. */
describe("an entry's name", () => {
  const gnu = (change: (header: Buffer) => void): Part => {
    const header = headerOf("name", "0", 0).subarray(0, 512);
    header.write("ustar  \0", 257, "latin1");
    change(header);
    return summed(header);
  };
  const nameOf = async (...parts: Part[]): Promise<string | undefined> => (await entriesOf(...parts))[0]?.name;

  it("has a prefix in a header of GNU's where Go wrote one, and not where GNU has times", async () => {
    expect(await nameOf(gnu((header) => header.write("usr/lib", 345)))).toBe("usr/lib/name");
    expect(await nameOf(gnu((header) => header.write("14371700000\x0014371700001\0", 345)))).toBe("name");
    expect(await nameOf(gnu((header) => header.writeUInt8(0x80, 345)))).toBe("name");
    expect(await nameOf(gnu((header) => header.write("\xff\xfe", 345, "latin1")))).toBe("name");
  });
  it("is GNU's long one where pax states another", async () => {
    const long = headerOf("././@LongLink", "L", 4, "gnu\0");
    expect(await nameOf(paxOf(["path", "pax"]), long, FILE)).toBe("gnu");
    expect(await nameOf(long, paxOf(["path", "pax"]), FILE)).toBe("gnu");
  });
  it("makes a folder by its slash in V7 alone", async () => {
    const kinds = await entriesOf(headerOf("a/", "\0", 0), headerOf("b/", "0", 0));
    expect(kinds.map(({ kind }) => kind)).toEqual(["directory", "file"]);
  });
});

it("takes one block of zeros for the end only where nothing follows", async () => {
  expect(await refusal(FILE, Buffer.alloc(512), headerOf("hidden", "0", 0))).toBe("a lone block of zeros stands amid its entries");
  expect(await entriesOf(FILE, Buffer.alloc(1_024), headerOf("behind the end", "0", 0))).toHaveLength(1);
});

describe("an extended header", () => {
  it("takes the place of one before it", async () => {
    const [entry] = await entriesOf(paxOf(["path", "one"], ["SCHILY.xattr.user.a", "1"], ["size", "512"]), paxOf(["uid", "7"]), FILE);
    expect(entry).toMatchObject({ name: "file", uid: 7, size: 0, xattrs: [] });
  });
  it("counts as it is said last, also of attributes", async () => {
    const [entry] = await entriesOf(paxOf(["uid", "1"], ["uid", "2"], ["SCHILY.xattr.user.a", "1"], ["SCHILY.xattr.user.a", "2"]), FILE);
    expect(entry).toMatchObject({ uid: 2, xattrs: [["user.a", "2"]] });
  });
  it("may state numbers with a sign, and owners no parts of one", async () => {
    const [entry] = await entriesOf(paxOf(["uid", "+7"], ["gid", "008"], ["mtime", "+5.7"], ["size", "+0"]), FILE);
    expect(entry).toMatchObject({ uid: 7, gid: 8, mtime: 5, size: 0 });
    for (const said of [
      ["uid", "1.5"],
      ["uid", "0x1"],
      ["gid", " 1"],
      ["mtime", ".5"],
      ["mtime", "1e3"],
    ] as const)
      expect(await refusal(paxOf(said), FILE)).toContain("no number");
  });
  it("holds no names that end early for some programs", async () => {
    expect(await refusal(paxOf(["path", "a\0b"]), FILE)).toContain("a name that is none");
    expect(await refusal(paxOf(["SCHILY.xattr.user.a\0b", "1"]), FILE)).toContain("a name that is none");
    expect(await refusal(paxOf(["", "1"]), FILE)).toContain("a name that is none");
    expect(await refusal(headerOf("pax", "x", 13, "0xb path=ab\n\0"), FILE)).toContain("makes no sense");
  });
});

it("takes an attribute without a value for none, as POSIX has it", async () => {
  const [entry] = await entriesOf(paxOf(["SCHILY.xattr.user.a", ""], ["SCHILY.xattr.user.b", "1"]), FILE);
  expect(entry?.xattrs).toEqual([["user.b", "1"]]);
});

describe("the map of a sparse file", () => {
  it("is read where it is one", async () => {
    const [entry] = await entriesOf(
      paxOf(...sparse),
      headerOf("f", "0", 512 + 4, Buffer.concat([Buffer.from("1\n5\n4\n").subarray(0, 6), Buffer.alloc(506), Buffer.from("data")])),
    );
    expect(entry).toMatchObject({ size: 9, pieces: [{ at: 5, length: 4 }] });
  });
  it("is none where the form is not known, and nothing of it counts", async () => {
    const [entry] = await entriesOf(
      paxOf(["GNU.sparse.major", "2"], ["GNU.sparse.minor", "0"], ["GNU.sparse.name", "other"], ["GNU.sparse.realsize", "9"]),
      FILE,
    );
    expect(entry).toMatchObject({ name: "file", size: 0, pieces: [] });
  });
  it("stands in the header of the oldest form, which takes no name of another", async () => {
    const [entry] = await entriesOf(paxOf(...sparse, ["GNU.sparse.name", "other"]), headerOf("file", "S", 0));
    expect(entry).toMatchObject({ name: "file", kind: "file" });
  });
  it("may be of no pieces; a folder has none", async () => {
    const hole = paxOf(
      ["GNU.sparse.size", "9"],
      ["GNU.sparse.numblocks", "0"],
      ["GNU.sparse.map", ""],
      ["GNU.sparse.major", "0"],
      ["GNU.sparse.minor", "1"],
    );
    expect((await entriesOf(hole, FILE))[0]).toMatchObject({ size: 9, pieces: [] });
    expect(await refusal(hole, headerOf("d", "5", 0))).toBe("d is sparse, and no file");
  });
  it("has as many pieces as it says", async () => {
    expect(await refusal(paxOf(["GNU.sparse.size", "9"], ["GNU.sparse.numblocks", "2"], ["GNU.sparse.map", "0,0"]), FILE)).toContain(
      "makes no sense",
    );
  });
  it("holds numbers and no line without an end: each byte would take many of memory", async () => {
    const endless = headerOf("f", "0", 256 * 1024, Buffer.alloc(256 * 1024, "1"));
    expect(await refusal(paxOf(...sparse), endless)).toBe("the map of a sparse file makes no sense");
  });
  it("has no more pieces in a header than one in the data has", async () => {
    const map = Array.from({ length: 100_001 }, () => "0,0").join(",");
    expect(await refusal(paxOf(["GNU.sparse.size", "9"], ["GNU.sparse.numblocks", "100001"], ["GNU.sparse.map", map]), FILE)).toMatch(
      /more than 100000 pieces/,
    );
    expect(
      (await entriesOf(paxOf(["GNU.sparse.size", "9"], ["GNU.sparse.numblocks", "1"], ["GNU.sparse.map", "0,0"]), FILE))[0],
    ).toMatchObject({ size: 9, pieces: [] });
  });
});
