/** Folders of many small files: what each costs on the wire and in the guest. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { MachineLink } from "../session/machine-link.ts";
import { copyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import { GuestFiles, type FileSink } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";

const FILES = 200;
const here = new ShellHere();
let folder: string;
const at = (name: string): string => path.join(folder, name);
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-small-files-"))));
afterEach(async () => {
  here.end();
  await rm(folder, { recursive: true, force: true });
});

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Counts what goes into a guest and what comes of it, message by message. */
async function counted(): Promise<{ files: GuestFiles; messages: { in: number; out: number } }> {
  const port = here.port();
  const messages = { in: 0, out: 0 };
  const counting = {
    async shell(wire: Duplex) {
      wire.on("data", (bytes: Buffer) => {
        messages.in++;
        port.write(bytes);
      });
      port.on("data", (bytes: Buffer) => {
        messages.out++;
        wire.write(bytes);
      });
    },
  } as unknown as MachineLink;
  return { files: await GuestFiles.open(counting), messages };
}

describe.skipIf(!hasPerl)("many small files", () => {
  it("go into a guest many to a message, and are answered so", async () => {
    const { files, messages } = await counted();
    const about = { offset: 0, mode: 0o644, owner: null, mtime: 1 };
    const put = (name: string): Promise<void> =>
      files.put({ path: at(name), part: at(`${name}.part`), size: name.length, ...about }, bytesOf(name));
    await Promise.all(Array.from({ length: FILES }, (_, i) => put(String(i))));
    files.close();
    expect(await readdir(folder)).toHaveLength(FILES);
    expect(await readFile(at("137"), "utf8")).toBe("137");
    expect(messages.in).toBeLessThan(FILES / 10);
    expect(messages.out).toBeLessThan(FILES / 10);
  });

  it("are not held back where one of them is missing: each is answered for itself", async () => {
    const { files } = await counted();
    const answers = await Promise.allSettled([files.look(at("none")), files.partSize(at("none")), files.link(at("no/link"), "x", null)]);
    expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    files.close();
  });

  it("come and go in folders one after another, more of them than are under way at once", async () => {
    for (let i = 0; i < FILES; i++) {
      const sub = at(`from/${i % 7}/${i % 3}`);
      await mkdir(sub, { recursive: true });
      await writeFile(path.join(sub, String(i)), "x".repeat(i * 400));
    }
    await here.withFiles((files) => copyIn(files, at("from"), at("there"), { owners: false }));
    await here.withFiles((files) => copyOut(files, at("there"), at("back"), { owners: false }));
    const names = async (of: string) => (await readdir(at(of), { recursive: true })).sort();
    expect(await names("back")).toEqual(await names("from"));
    for (const name of (await names("from")).filter((each) => /\d+\/\d+\/\d+/.test(each)))
      expect((await readFile(at(`back/${name}`))).length).toBe(Number(path.basename(name)) * 400);
  });
});

it("one that is larger than it said is written as it comes, and counted", async () => {
  const entry = { path: "", kind: "file", mode: 0o600, uid: 0, gid: 0, size: 3, mtime: 1, target: "", isText: true };
  const piece = Buffer.alloc(40_000, "x");
  const guest = (pieces: number): GuestFiles =>
    ({
      lookBehind: async () => null,
      look: async () => entry,
      async get(_: string, __: number, sink: FileSink) {
        try {
          for (let i = 0; i < pieces; i++) await sink.take(piece, i * piece.length);
          await sink.whole();
        } finally {
          await sink.end();
        }
      },
    }) as unknown as GuestFiles;
  await copyOut(guest(3), "/grown", at("grown"), { owners: false });
  expect((await readFile(at("grown"))).length).toBe(120_000);
  for (const pieces of [1, 3])
    await expect(copyOut(guest(pieces), "/grown", at("no-room"), { owners: false, roomOf: async () => 39_999 })).rejects.toThrow("no room");
  expect(await readdir(folder)).not.toContain("no-room");
});
