import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { headerOf, paxOf, type Part } from "@xenoservers/testkit";
import { openFiles } from "./image-files.ts";
import { openHere } from "./on-this-machine.ts";
import { OciError } from "./source.ts";
import { unpackersHere } from "./unpackers-here.ts";

const INDEX = '{"manifests":[]}';
const END = Buffer.alloc(1024);
const index = headerOf("./index.json", "0", INDEX.length, INDEX);
/** The size field made these bytes, and the sum over the header right again (POSIX ustar). */
function sized(part: Part, field: string): Part {
  const bytes = Buffer.from(part);
  bytes.fill(0, 124, 136).write(field, 124, "latin1");
  bytes.fill(" ", 148, 156);
  const sum = bytes.subarray(0, 512).reduce((all, byte) => all + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

async function withFile(bytes: Uint8Array, use: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-archive-"));
  try {
    await writeFile(path.join(folder, "a.tar"), bytes);
    await use(path.join(folder, "a.tar"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("an archive", () => {
  it.each([
    ["as it is", (bytes: Buffer) => bytes],
    ["packed with gzip", gzipSync],
    ["packed with zstd", zstdCompressSync],
  ] as const)("is read %s, with whatever stands beside the layout", async (_, packed) => {
    const besides = [headerOf("d/", "5", 7), paxOf(["comment", ""], ["path", ""]), headerOf("@", "L", 0), headerOf("x", "2", 9)];
    await withFile(packed(Buffer.concat([...besides, index, END])), async (file) => {
      const { source, done } = await openHere(`archive:${file}`);
      await expect(source.manifest(null)).rejects.toThrow(/holds no image/);
      await done();
    });
  });

  it("is unpacked no further than there is room, and leaves nothing", async () => {
    const large = headerOf(`./blobs/sha256/${"a".repeat(64)}`, "0", 1_000_000, "\0".repeat(1_000_000));
    await withFile(gzipSync(Buffer.concat([large, index, END])), async (file) => {
      let folder = "";
      const room = async (of: string): Promise<number> => ((folder = of), 999_999);
      await expect(openFiles(file, room)).rejects.toThrow(/more than .* has room for: make room there/);
      expect(await stat(folder).catch(() => null)).toBeNull();
      await (await openFiles(file)).done();
    });
  });

  it.each([
    ["an entry's size that is no number", [sized(index, "8")]],
    ["an entry's size below zero", [sized(index, "\xff".repeat(12))]],
    ["an entry's size beyond any file", [sized(index, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")]],
    ["an extended header whose size is no number", [sized(paxOf(["path", "a"]), "8"), index]],
    ["an extended header whose size is below zero", [sized(paxOf(["path", "a"]), `\xff${"\0".repeat(10)}\x01`), index]],
    ["a long name whose size is below zero", [sized(headerOf("@", "L", 4, "abc\0"), "\xff".repeat(12)), index]],
    ["a size in an extended header that is no number", [paxOf(["size", "x"]), index]],
    ["a size in an extended header below zero", [paxOf(["size", "-512"]), index]],
    ["an entry that is cut off", [index.subarray(0, 520)]],
    ["a header that is cut off", [index.subarray(0, 300)]],
    ["a name that is cut off", [headerOf("@", "L", 2_000, "abc")]],
    ["a file with holes", [paxOf(["GNU.sparse.size", "9000000000"], ["GNU.sparse.map", `0,${INDEX.length}`]), index]],
  ])("with %s is refused in words, and its reader waits for nothing", async (_, parts) => {
    const whole = Buffer.concat(parts);
    await withFile(whole.length % 512 === 0 ? Buffer.concat([whole, END]) : whole, async (file) => {
      const asked = openHere(`archive:${file}`);
      await expect(asked).rejects.toBeInstanceOf(OciError);
      await expect(asked).rejects.toThrow(/is no archive of an OCI image \(/);
    });
  });

  it.each(["bzip2", "xz"])(
    "packed with %s is read where this machine has that program, and said to be damaged where it is",
    async (program) => {
      const packed = spawnSync(program, ["-c"], { input: Buffer.concat([index, END]) });
      if (packed.error) return expect(await unpackersHere(program as "bzip2" | "xz")).toBeNull();
      await withFile(packed.stdout, async (file) => {
        const { source, done } = await openHere(`archive:${file}`);
        await expect(source.manifest(null)).rejects.toThrow(/holds no image/);
        await done();
      });
      await withFile(packed.stdout.subarray(0, -8), async (file) => {
        await expect(openHere(`archive:${file}`)).rejects.toThrow(/is no archive of an OCI image \(/);
      });
    },
  );

  it("of many files is held within a bound of its names' bytes, wherever they stand", async () => {
    const long = "n".repeat(900_000);
    const named = Array.from({ length: 10 }, (_, i) => [paxOf(["path", `${long}${i}`]), headerOf("x", "0", 0)]).flat();
    const linked = Array.from({ length: 10 }, (_, i) => [paxOf(["linkpath", `${long}${i}`]), headerOf(`l${i}`, "2", 0)]).flat();
    for (const entries of [named, linked])
      await withFile(Buffer.concat([...entries, index, END]), async (file) => {
        await expect(openHere(`archive:${file}`)).rejects.toThrow(/the names of its files take more than/);
      });
  });

  it("of which the packing is cut off, or another one, is refused in words", async () => {
    await withFile(gzipSync(Buffer.concat([index, END])).subarray(0, 40), async (file) => {
      await expect(openHere(`archive:${file}`)).rejects.toThrow(/is no archive of an OCI image \(unexpected end of file\)/);
    });
    await withFile(Buffer.from("PK\x03\x04 and more"), async (file) => {
      await expect(openHere(`archive:${file}`)).rejects.toThrow(/is packed with something that is not unpacked here/);
    });
  });
});

it("says of an index that is none that it is damaged, whatever stands in it", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-layout-"));
  try {
    for (const text of [
      "{",
      "null",
      "[]",
      '{"manifests":5}',
      '{"manifests":null}',
      '{"manifests":[null]}',
      '{"manifests":[{"annotations":5}]}',
    ]) {
      await writeFile(path.join(folder, "index.json"), text);
      const asked = openHere(`oci:${folder}:latest`).then(({ source }) => source.manifest(null));
      await expect(asked, text).rejects.toBeInstanceOf(OciError);
      await expect(asked, text).rejects.toThrow(/index\.json is damaged/);
    }
    await writeFile(path.join(folder, "index.json"), '{"manifests":[{"digest":5,"annotations":null}]}');
    await expect((await openHere(`oci:${folder}`)).source.manifest(null)).rejects.toThrow(/holds no image/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
