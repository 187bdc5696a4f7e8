/** How an image's job ended, by what lies on its answer's disk, every byte of which is the guest's. */
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pack } from "tar-stream";
import { endOfImage } from "./domain-image.ts";
import { DomainStreams } from "./domain-streams.ts";

const TOKEN = "ab".repeat(16);

describe("an image's job in a domain", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-answer-"));
    await writeFile(path.join(folder, "console.log"), "boots\n\x101hello");
  });
  afterEach(() => rm(folder, { recursive: true }));

  const ended = (over: { stopped?: boolean; reason?: "poweroff" | "reboot" } = {}) =>
    endOfImage(over.reason ?? "poweroff", {
      ...{ folder, token: TOKEN, diskMib: 1, stopped: over.stopped ?? false },
      streams: new DomainStreams(folder, 1_000),
    });
  async function answer(head: string, body: Uint8Array = new Uint8Array(0)): Promise<void> {
    const block = Buffer.alloc(512);
    block.write(head);
    await writeFile(path.join(folder, "answer.raw"), Buffer.concat([block, body]));
    await truncate(path.join(folder, "answer.raw"), 1024 * 1024);
  }
  async function body(code: number, pieces: (tar: Buffer) => readonly Buffer[]): Promise<Buffer> {
    const writer = pack();
    writer.entry({ name: "out/f" }, "kept");
    writer.finalize();
    const parts: Buffer[] = [];
    for await (const part of writer) parts.push(part as Buffer);
    const length = (bytes: number): Buffer => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(bytes);
      return head;
    };
    return Buffer.concat([
      Buffer.from(`\n${TOKEN} ${code}\n`),
      ...pieces(Buffer.concat(parts)).flatMap((piece) => [length(piece.length), piece]),
      ...[length(0), Buffer.from([1])],
    ]);
  }
  const whole = (tar: Buffer): Buffer[] => [tar];

  it("has its exit code and its files", async () => {
    const bytes = await body(9, whole);
    await answer(`xeno-answer whole ${bytes.length}\n`, bytes);
    const end = await ended({ stopped: true });
    expect(end).toMatchObject({ kind: "job", exitCode: 9, stopped: true, detail: "", tree: [{ path: "out/f", kind: "file", size: 4 }] });
    const [file] = end.kind === "job" ? end.tree : [];
    expect(file?.kind === "file" && (await readFile(path.join(folder, "out", file.digest), "utf8"))).toBe("kept");
  });

  it.each([
    ["is cut short", 300, "the job left no answer"],
    ["is no archive, and as long as can be", 10 ** 14, "not everything could be handed back"],
  ])("hands nothing back where its answer %s", async (_what, said, detail) => {
    const bytes = (await body(0, whole)).subarray(0, 60);
    await answer(`xeno-answer whole ${said}\n`, bytes);
    expect(await ended()).toMatchObject({ kind: "job", tree: [], detail });
  });

  it("has ended at what it may hand back", async () => {
    await answer("xeno-answer more 100\n");
    expect(await ended()).toMatchObject({ kind: "output-limit" });
    const bytes = await body(0, () => [Buffer.alloc(2 * 1024 * 1024)]);
    await answer(`xeno-answer whole ${bytes.length}\n`, bytes);
    expect(await ended()).toMatchObject({ kind: "output-limit", detail: "the job hands back more than its disk holds" });
  });

  it("is nobody's failure by the guest's word alone where its answer could not be written", async () => {
    await answer("xeno-answer failed 100\n");
    expect(await ended()).toEqual({ kind: "crashed", detail: "what the job left could not be written on its disk" });
  });

  it("could not begin, in our init's words", async () => {
    const words = "refused job /in cannot be mounted: it is no folder\n";
    await answer(`xeno-answer refused ${words.length}\n`, Buffer.from(words));
    expect(await ended()).toEqual({
      ...{ kind: "job", exitCode: 125, tree: [], stopped: false },
      detail: "/in cannot be mounted: it is no folder",
    });
  });

  it("ended its machine by itself where it left no answer, as in a container", async () => {
    await answer("");
    expect(await ended()).toMatchObject({ kind: "job", exitCode: 130 });
    expect(await ended({ reason: "reboot" })).toMatchObject({ kind: "job", exitCode: 129 });
    await writeFile(path.join(folder, "console.log"), "xeno-init: layer 0 does not mount\n");
    expect(await ended()).toEqual({ kind: "crashed", detail: "xeno-init: layer 0 does not mount" });
  });
});
