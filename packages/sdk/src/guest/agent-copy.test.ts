/** A file out of a guest whose agent, or owner in its place, means harm. */
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { agentCopyOut } from "./agent-copy.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-agent-copy-"))));
afterEach(() => rm(folder, { recursive: true }));

const PIECE = Buffer.alloc(512 * 1024, 7);
/** `piece`: what is answered each time, and whether it is the last. */
function copy(piece: (asked: number) => { bytes: Buffer; eof: boolean }): Promise<void> {
  let asked = 0;
  const ask = async (_: string, { command }: { command: string }): Promise<unknown> => {
    if (command !== "guest-file-read") return 1;
    const { bytes, eof } = piece(asked++);
    return { "buf-b64": bytes.toString("base64"), eof, count: bytes.length };
  };
  const session = { machine: { ask } } as unknown as Parameters<typeof agentCopyOut>[0];
  return agentCopyOut(session, "/x", path.join(folder, "x"), async () => 2 * 1024 * 1024);
}

it("comes whole", async () => {
  await copy((asked) => ({ bytes: asked < 3 ? PIECE : Buffer.alloc(0), eof: asked >= 3 }));
  expect(await readFile(path.join(folder, "x"))).toEqual(Buffer.concat([PIECE, PIECE, PIECE]));
});

it("without an end leaves this machine some room, and says how much came", async () => {
  await expect(copy((asked) => ({ bytes: PIECE, eof: asked > 20 }))).rejects.toThrow("no room here");
  expect((await stat(path.join(folder, "x"))).size).toBe(4 * PIECE.length);
});

it("of nothing, again and again, is none", async () => {
  await expect(copy((asked) => ({ bytes: Buffer.alloc(0), eof: asked > 20 }))).rejects.toThrow("gives nothing");
});
