/** A guest that takes nothing for a while, and one that says more than is held: what waits here is bounded. */
import { Frames, frame, type Frame } from "@xenoservers/protocol/channel";
import { describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import type { MachineLink } from "../session/machine-link.ts";
import { AnyMachineFiles } from "../machine/machine-files.ts";
import { archiveOut } from "./archive-out.ts";
import { copyOut } from "./copy-out.ts";
import { GuestFiles } from "./files.ts";
import { listed } from "./listed.ts";
import type { Wire } from "./wire.ts";

const PIECE_BYTES = 4 * 1024;
const PIECES = 1_000;

it("whoever gives bytes in small pieces, one after the other, is not read ahead of a guest that takes none", async () => {
  let wire!: Wire;
  const frames = new Frames();
  const came: Frame[] = [];
  const link = {
    async shell(given: Wire) {
      wire = given;
      wire.on("data", (bytes: Uint8Array) => void came.push(...(frames.take(bytes.slice()) ?? [])));
    },
  } as unknown as Pick<MachineLink, "shell">;
  const files = await GuestFiles.open(link);
  let given = 0;
  async function* slowly(): AsyncGenerator<Uint8Array> {
    for (; given < PIECES; given++) {
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      yield new Uint8Array(PIECE_BYTES).fill(given % 251);
    }
  }
  const about = { path: "/a", part: "/p", offset: 0, size: PIECES * PIECE_BYTES, mode: 0o600, owner: null, mtime: 1 };
  const put = files.put(about, slowly());
  for (let quiet = 0, before = -1; quiet < 100; quiet = given === before ? quiet + 1 : 0, before = given)
    await new Promise((resolve) => setImmediate(resolve));
  expect(given * PIECE_BYTES).toBeLessThan(1024 * 1024);
  const taken = (): number => came.reduce((sum, { letter, bytes }) => sum + (letter === "I" ? bytes.length : 0), 0);
  let said = 0;
  await until(() => {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(taken() - said);
    said = taken();
    wire.write(frame("c", count));
    return given === PIECES && said >= PIECES * PIECE_BYTES;
  });
  const all = Buffer.concat(came.filter(({ letter }) => letter === "I").map(({ bytes }) => bytes)).subarray(-PIECES * PIECE_BYTES);
  expect(Array.from({ length: PIECES }, (_, i) => all[i * PIECE_BYTES] === i % 251).every(Boolean)).toBe(true);
  wire.write(frame("o", Buffer.from("\0\0\0\x02ok", "latin1")));
  await put;
  files.close();
});

describe("a guest whose list is very long", () => {
  const name = "d".repeat(60_000);
  const entry = { kind: "folder", mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 1, target: "", isText: true, which: "" } as const;
  const endless: GuestFiles["list"] = async (_, each, lost) => {
    // more than is held of any
    for (let i = 0; i < 5_000; i++)
      if (lost) lost(name, "it is said");
      else each({ ...entry, path: name });
  };
  const files = { lookBehind: async () => ({ ...entry, path: "" }), list: endless } as unknown as GuestFiles;

  it.each([
    ["an archive", () => archiveOut(files, "/srv", async () => {}, { owners: false })],
    ["a copy", () => copyOut(files, "/srv", "/none", { owners: false })],
    ["a list", () => listed(files, "/srv")],
  ])("ends %s in words, whether it names files or what it cannot look at", async (_, take) => {
    await expect(take()).rejects.toThrow("take it in parts");
  });

  it("and is ended by the first that it cannot look at where nobody is told of those", async () => {
    const lost = frame("o", Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.from("lost\0a\0b")]));
    let isGone = false;
    const link = {
      async shell(wire: Wire) {
        wire.on("data", () => {}).once("close", () => (isGone = true));
        const more = (): void => void (isGone || wire.write(lost, () => setImmediate(more)));
        more();
      },
    } as unknown as Pick<MachineLink, "shell">;
    await expect(new AnyMachineFiles(link as MachineLink).list("/srv")).rejects.toThrow("/srv/a: b");
    await until(() => isGone);
  });
});
