/** Each limit of limits.ts at its call, as Linux answers it; and that what is counted is what is held. */
import { describe, expect, it } from "vitest";
import { GuestCalls } from "../../../../test/engine/guest-calls.ts";
import { ENTRIES_MAX, FILE_BYTES_MAX, HARD_LINKS_MAX, NODE_BYTES, fileCapacity, sizeWithin } from "./limits.ts";

const MIB = 1024 * 1024;
const EMPTY = { usedBytes: 0, entries: 1, treeBytes: 131 };

describe("names and paths", () => {
  it("are as long as Linux lets them be, in bytes", () => {
    const guest = new GuestCalls(16 * MIB);
    expect(guest.file("a".repeat(255))).toBe(0);
    expect(guest.file("a".repeat(256))).toBe("NAMETOOLONG");
    expect(guest.mkdir("é".repeat(127))).toBe("SUCCESS");
    expect(guest.mkdir("é".repeat(128))).toBe("NAMETOOLONG");
    expect(guest.stat("n".repeat(300))).toBe("NAMETOOLONG");
    expect(guest.stat("n".repeat(255))).toBe("NOENT");
    expect(guest.stat(`${"x/".repeat(2_048)}y`)).toBe("NAMETOOLONG");
    expect(guest.stat(`${"x/".repeat(2_000)}y`)).toBe("NOENT");
  });

  it("nest until the whole path is too long, however they are named", () => {
    const guest = new GuestCalls(16 * MIB);
    const name = "d".repeat(250);
    let fd = guest.out;
    let made = 0;
    for (; guest.mkdir(name, fd) === "SUCCESS"; made++) fd = guest.open(name, 0, fd, 0x3fffffffn & ~0x40n & ~0x100n & ~0x400000n) as number;
    expect(made).toBe(Math.floor((4095 - "/out".length) / 251));
    expect(guest.mkdir(name, fd)).toBe("NAMETOOLONG");
    expect(guest.mkdir("short", fd)).toBe("SUCCESS");
  });

  it("cannot be made too long by renaming a folder above them", () => {
    const guest = new GuestCalls(16 * MIB);
    guest.mkdir("a");
    const deep = Array.from({ length: 15 }, () => "d".repeat(250));
    for (let i = 1; i <= deep.length; i++) expect(guest.mkdir(["a", ...deep.slice(0, i)].join("/"))).toBe("SUCCESS");
    expect(guest.rename("a", "b".repeat(200))).toBe("SUCCESS");
    expect(guest.rename("b".repeat(200), "a")).toBe("SUCCESS");
    guest.mkdir("c".repeat(240));
    expect(guest.rename("a", `${"c".repeat(240)}/${"b".repeat(240)}`)).toBe("NAMETOOLONG");
    expect(guest.stat(["a", ...deep].join("/"))).toBe("SUCCESS");
  });

  it("keep no longer path in memory than they are", () => {
    const guest = new GuestCalls(256 * MIB);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 40_000; i++) guest.file(`${"./".repeat(1_900)}name-of-a-file-${i}`);
    globalThis.gc?.();
    expect(guest.files.totals.entries).toBe(40_001);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(110 * MIB);
  });
});

describe("links", () => {
  it("have targets of 1 to 4095 bytes without a NUL", () => {
    const guest = new GuestCalls(16 * MIB);
    expect(guest.symlink("t".repeat(4_095), "most")).toBe("SUCCESS");
    expect(guest.symlink("t".repeat(5_000), "more")).toBe("NAMETOOLONG");
    expect(guest.symlink("", "none")).toBe("NOENT");
    expect(guest.symlink("a\0b", "nul")).toBe("ILSEQ");
    expect(guest.call("path_readlink", guest.out, 65_536, 0, 2048, 10, 1024)).toBe("NOENT");
  });

  it("are followed 40 times in one path, and no more", () => {
    const guest = new GuestCalls(16 * MIB);
    guest.file("l0");
    for (let i = 1; i <= 41; i++) guest.symlink(`l${i - 1}`, `l${i}`);
    expect(guest.stat("l40")).toBe("SUCCESS");
    expect(guest.stat("l41")).toBe("LOOP");
  });

  it("of one file are as many as ext4 has", () => {
    const guest = new GuestCalls(64 * MIB);
    guest.file("one");
    for (let i = 1; i < HARD_LINKS_MAX; i++) guest.link("one", `n${i}`);
    expect(guest.link("one", "over")).toBe("MLINK");
    expect(guest.unlink("n1")).toBe("SUCCESS");
    expect(guest.link("one", "over")).toBe("SUCCESS");
  });
});

describe("entries", () => {
  it("are 100,000 in all, of every kind, and free again once they are removed", () => {
    const guest = new GuestCalls(512 * MIB);
    let left = ENTRIES_MAX - guest.files.totals.entries;
    guest.mkdir("d");
    guest.file("f");
    for (left -= 2; left > 0; left--)
      expect(
        left % 3 === 0 ? guest.link("f", `h${left}`) : left % 3 === 1 ? guest.symlink("f", `s${left}`) : guest.mkdir(`d/${left}`),
      ).toBe("SUCCESS");
    expect([guest.file("x"), guest.mkdir("x"), guest.symlink("f", "x"), guest.link("f", "x")]).toEqual([
      "NOSPC",
      "NOSPC",
      "NOSPC",
      "NOSPC",
    ]);
    expect(guest.rename("s4", "renamed")).toBe("SUCCESS");
    expect(guest.unlink("renamed")).toBe("SUCCESS");
    expect(guest.file("x")).toBe(0);
    expect(guest.names(guest.open(".", 0, guest.out, 1n << 14n) as number, 100_000)).toHaveLength(
      2 + 2 + Math.floor((ENTRIES_MAX - 3) / 3) * 2 + 1,
    );
  });

  it("count as long as a descriptor holds them, and so do their bytes", () => {
    const guest = new GuestCalls(4 * MIB);
    const fd = guest.open("gone") as number;
    guest.write(fd, MIB);
    expect(guest.unlink("gone")).toBe("SUCCESS");
    expect(guest.files.totals).toMatchObject({ entries: 2, usedBytes: MIB + NODE_BYTES });
    expect(guest.resize(fd, BigInt(5 * MIB))).toBe("NOSPC");
    expect(guest.write(fd, MIB)).toBe(MIB);
    expect(guest.call("fd_renumber", guest.open("other") as number, fd)).toBe("SUCCESS");
    guest.close(fd);
    guest.unlink("other");
    expect(guest.files.totals).toEqual(EMPTY);
  });

  it("are no more than what can be listed for the way back", () => {
    const guest = new GuestCalls(512 * MIB);
    // what JSON makes six bytes of each of these
    const name = "\u0001".repeat(240);
    let made = 0;
    for (; guest.symlink("\u0002".repeat(4_000), `${name}${made}`) === "SUCCESS"; made++);
    expect(guest.symlink("x", "y".repeat(30_000))).toBe("NAMETOOLONG");
    expect(guest.symlink("\u0002".repeat(4_000), `${name}${made}`)).toBe("NOSPC");
    const bytes = JSON.stringify([...guest.treeAt("/out")]).length;
    expect(bytes).toBeLessThan(32 * MIB);
    expect(bytes).toBeGreaterThan(31 * MIB);
  });

  it("of a folder that was removed cannot be made", () => {
    const guest = new GuestCalls(MIB);
    guest.mkdir("d");
    const fd = guest.open("d", 2, guest.out, (1n << 9n) | (1n << 10n) | (1n << 13n) | (1n << 14n)) as number;
    expect(guest.rmdir("d")).toBe("SUCCESS");
    expect([guest.mkdir("x", fd), guest.open("x", 1, fd, 1n << 1n)]).toEqual(["NOENT", "NOENT"]);
    guest.close(fd);
    expect(guest.files.totals).toEqual(EMPTY);
  });
});

describe("bytes", () => {
  it("count with holes, and are free again when a file is cut", () => {
    const guest = new GuestCalls(4 * MIB);
    const fd = guest.open("f") as number;
    expect(guest.write(fd, 1, BigInt(3 * MIB))).toBe(1);
    expect(guest.files.totals.usedBytes).toBeGreaterThan(3 * MIB);
    expect(guest.write(fd, 1, BigInt(8 * MIB))).toBe("NOSPC");
    expect(guest.resize(fd, BigInt(FILE_BYTES_MAX) + 1n)).toBe("FBIG");
    expect(guest.write(fd, 1, BigInt(FILE_BYTES_MAX))).toBe("FBIG");
    expect([
      guest.resize(fd, 1n << 62n),
      guest.resize(fd, -1n),
      guest.call("fd_allocate", fd, 1n << 62n, 1n),
      guest.write(fd, 1, 1n << 62n),
    ]).toEqual(["FBIG", "INVAL", "FBIG", "FBIG"]);
    expect(guest.resize(fd, 0n)).toBe("SUCCESS");
    for (let i = 0; i < 10; i++) {
      expect(guest.write(fd, 3 * MIB, 0n)).toBe(3 * MIB);
      expect(guest.resize(fd, 0n)).toBe("SUCCESS");
    }
  });

  it("that do not fit are not written; those that do are, and the next call says ENOSPC", () => {
    const guest = new GuestCalls(2 * MIB);
    const fd = guest.open("f") as number;
    const written = guest.write(fd, 3 * MIB) as number;
    expect(written).toBeGreaterThan(1.9 * MIB);
    expect(written).toBeLessThan(2 * MIB);
    expect(guest.write(fd, 100)).toBe("NOSPC");
    expect(guest.files.totals.usedBytes).toBeLessThanOrEqual(2 * MIB);
    expect(guest.rename("f", "g")).toBe("SUCCESS");
  });

  it("are what the pieces of a file hold, for every size", () => {
    for (const size of [0, 1, 63, 64, 65, 72, 100, 4_095, 4_096, 4_097, MIB - 1, MIB, MIB + 1, 5 * MIB + 77_777]) {
      const guest = new GuestCalls(8 * MIB);
      const fd = guest.open("f") as number;
      expect(guest.resize(fd, BigInt(size))).toBe("SUCCESS");
      const node = guest.files.root.entries.get("out");
      const file = node?.kind === "directory" ? node.entries.get("f") : undefined;
      const held = file?.kind === "file" ? file.chunks.reduce((sum, chunk) => sum + chunk.length, 0) : -1;
      expect(held).toBe(fileCapacity(size));
      expect(held).toBeLessThanOrEqual(Math.max(64, size * 1.125));
      expect(fileCapacity(sizeWithin(size))).toBeLessThanOrEqual(size);
      expect(sizeWithin(fileCapacity(size))).toBeGreaterThanOrEqual(size);
    }
  });

  it("are none where no disk was ordered, and what runs is told so", () => {
    const guest = new GuestCalls(0);
    expect([guest.file("f"), guest.mkdir("d"), guest.symlink("a", "b")]).toEqual(["NOSPC", "NOSPC", "NOSPC"]);
    expect(guest.names(guest.open(".", 0, guest.out, 1n << 14n) as number, 4_096)).toEqual([".", ".."]);
  });

  it("come back as they were written, across pieces and after cuts", () => {
    const guest = new GuestCalls(16 * MIB);
    const fd = guest.open("f") as number;
    guest.write(fd, MIB - 3);
    guest.resize(fd, 10n);
    guest.resize(fd, BigInt(MIB + 10));
    guest.write(fd, 5, BigInt(MIB - 2));
    const [entry] = [...guest.treeAt("/out")];
    const bytes = entry?.kind === "file" ? Buffer.concat([...entry.chunks()]) : Buffer.alloc(0);
    expect(bytes).toHaveLength(MIB + 10);
    expect(bytes.subarray(10, MIB - 2).every((byte) => byte === 0)).toBe(true);
  });
});

describe("descriptors", () => {
  it("are 4096, and no file is made for one that there is no room for", () => {
    const guest = new GuestCalls(16 * MIB);
    guest.file("f");
    let opened = [...guest.descriptors.entries()].length;
    while (typeof guest.open("f") === "number") opened++;
    expect(opened).toBe(4_096);
    expect(guest.open("new")).toBe("MFILE");
    expect(guest.stat("new")).toBe("NOENT");
  });

  it("read folders from listings that have a bound together", () => {
    const guest = new GuestCalls(256 * MIB);
    for (let i = 0; i < 60_000; i++) guest.symlink("t", `${"n".repeat(200)}${i}`);
    const fds = Array.from({ length: 20 }, () => guest.open(".", 0, guest.out, 1n << 14n) as number);
    const answers = fds.map((fd) => guest.call("fd_readdir", fd, 65_536, 4_096, 0n, 1024));
    expect(answers.filter((answer) => answer === "SUCCESS").length).toBeGreaterThanOrEqual(2);
    expect(answers.at(-1)).toBe("NOMEM");
    guest.close(fds[0]!);
    expect(guest.call("fd_readdir", fds.at(-1)!, 65_536, 4_096, 0n, 1024)).toBe("SUCCESS");
  });
});

describe("renaming", () => {
  it("puts in place of what is there, as Linux does, and not into itself", () => {
    const guest = new GuestCalls(MIB);
    for (const path of ["full", "full/x", "empty", "other"]) guest.mkdir(path);
    guest.file("f", 10);
    expect(guest.rename("other", "full")).toBe("NOTEMPTY");
    expect(guest.rename("other", "empty")).toBe("SUCCESS");
    expect(guest.rename("full", "f")).toBe("NOTDIR");
    expect(guest.rename("f", "full")).toBe("ISDIR");
    expect(guest.rename("full", "full/x/y")).toBe("INVAL");
    expect(guest.rename("nothing", "x")).toBe("NOENT");
    guest.link("f", "same");
    expect(guest.rename("f", "same")).toBe("SUCCESS");
    expect(guest.stat("f")).toBe("SUCCESS");
  });

  it("works on a full disk where it makes room", () => {
    const guest = new GuestCalls(MIB);
    guest.file("new", 1_000);
    const fd = guest.open("f") as number;
    while (typeof guest.write(fd, 4_096) === "number");
    guest.close(fd);
    while (guest.symlink("x", `l${guest.files.totals.entries}`) === "SUCCESS");
    expect(guest.rename("new", "f")).toBe("SUCCESS");
    expect(guest.files.totals.usedBytes).toBeLessThan(MIB / 2);
  });
});
