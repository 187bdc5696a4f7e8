/** A file out of a guest whose agent, or owner in its place, means harm; and into one, by whatever way it has. */
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { agentCopyIn, agentCopyOut } from "./agent-copy.ts";

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

it("without an end leaves this machine some room, and nothing of itself", async () => {
  await expect(copy((asked) => ({ bytes: PIECE, eof: asked > 20 }))).rejects.toThrow(
    `no room here for all that the guest gives; nothing of it`,
  );
  expect(await readdir(folder)).toEqual([]);
});

it("that is cut off leaves what was there, and one that came whole has its mode", async () => {
  const at = path.join(folder, "x");
  await writeFile(at, "before");
  await chmod(at, 0o640);
  const cut = copy((asked) => {
    if (asked === 2) throw new Error("the machine ended");
    return { bytes: PIECE, eof: false };
  });
  await expect(cut).rejects.toThrow(`the machine ended; nothing of it is at ${at}`);
  expect(await readFile(at, "utf8")).toBe("before");
  await copy(() => ({ bytes: PIECE, eof: true }));
  expect(await readFile(at)).toEqual(PIECE);
  if (process.platform !== "win32") expect((await stat(at)).mode & 0o777).toBe(0o640);
  expect(await readdir(folder)).toEqual(["x"]);
});

it("for a folder goes into it, and takes the place of no folder there", async () => {
  const at = path.join(folder, "x");
  await mkdir(at);
  await copy(() => ({ bytes: PIECE, eof: true }));
  expect(await readFile(path.join(at, "x"))).toEqual(PIECE);
  await rm(path.join(at, "x"));
  await mkdir(path.join(at, "x"));
  await expect(copy(() => ({ bytes: PIECE, eof: true }))).rejects.toThrow("EISDIR");
  expect(await readdir(at)).toEqual(["x"]);
});

it.skipIf(process.platform === "win32")("for a device goes there, and the link to it stays", async () => {
  await symlink("/dev/null", path.join(folder, "x"));
  await copy(() => ({ bytes: PIECE, eof: true }));
  expect(await readlink(path.join(folder, "x"))).toBe("/dev/null");
});

it("of nothing, again and again, is none", async () => {
  await expect(copy((asked) => ({ bytes: Buffer.alloc(0), eof: asked > 20 }))).rejects.toThrow("gives nothing");
});

/** A guest and a server; `asIs`: it takes files as they are. What was asked, in order, and what came. */
function taker({ asIs, onWrite = async () => {}, takes = 1 }: { asIs: boolean; onWrite?: () => Promise<unknown>; takes?: number }) {
  const asked: string[] = [];
  const came: Buffer[] = [];
  let wanted: Record<string, unknown> | null = null;
  const ask = async (
    _: string,
    { command, arguments: args }: { command: string; arguments: Record<string, unknown> },
  ): Promise<unknown> => {
    asked.push(command);
    if (command === "guest-copy-open" && !asIs) throw new Error("The command guest-copy-open has not been found");
    if (command === "guest-copy-open") wanted = args;
    if (command.endsWith("-write")) came.push(Buffer.from(args["buf-b64"] as string, "base64"));
    if (command.endsWith("-write")) await onWrite();
    return command === "guest-file-write" ? { count: Math.floor(takes * came.at(-1)!.length), eof: false } : 1;
  };
  const session = { machine: { ask } } as unknown as Parameters<typeof agentCopyIn>[0];
  return { session, asked, bytes: () => Buffer.concat(came), wanted: () => wanted };
}
const three = Buffer.concat([PIECE, PIECE, PIECE]);

it("goes in as it is where the server and the guest do that, with its mode, and else piece by piece", async () => {
  const from = path.join(folder, "from");
  await writeFile(from, three);
  await chmod(from, 0o640);
  const fast = taker({ asIs: true });
  await agentCopyIn(fast.session, from, "/srv/");
  expect(fast.wanted()).toEqual({ path: "/srv/from", bytes: three.length, mode: "640" });
  expect(fast.asked).toEqual(["guest-copy-open", ...Array.from({ length: 3 }, () => "guest-copy-write"), "guest-copy-close"]);
  expect(fast.bytes().equals(three)).toBe(true);
  const slow = taker({ asIs: false });
  await agentCopyIn(slow.session, from, "/srv/");
  expect(slow.asked).toEqual([
    ...["guest-copy-open", "guest-file-open"],
    ...Array.from({ length: 3 }, () => "guest-file-write"),
    "guest-file-close",
  ]);
  expect(slow.bytes().equals(three)).toBe(true);
});

it("of nothing, or little, goes in without a shell", async () => {
  const from = path.join(folder, "from");
  await writeFile(from, "");
  const { session, asked } = taker({ asIs: true });
  await agentCopyIn(session, from, "/x");
  expect(asked).toEqual(["guest-file-open", "guest-file-close"]);
});

it("that grows while it is read goes in as it was; one that became shorter does not", async () => {
  const from = path.join(folder, "from");
  await writeFile(from, three);
  const grown = taker({ asIs: true, onWrite: () => appendFile(from, PIECE) });
  await agentCopyIn(grown.session, from, "/x");
  expect(grown.bytes().equals(three)).toBe(true);
  const many = Buffer.concat(Array.from({ length: 8 }, () => PIECE));
  await writeFile(from, many);
  const shrunk = taker({ asIs: true, onWrite: () => truncate(from, PIECE.length) });
  await expect(agentCopyIn(shrunk.session, from, "/x")).rejects.toThrow("became shorter");
  expect(shrunk.asked.at(-1)).toBe("guest-copy-close");
});

// tuna-os/wootc 42: what an agent did not take was skipped, and the copy passed for a whole one
it("of which the agent takes less than it was given is none", async () => {
  const from = path.join(folder, "from");
  await writeFile(from, three);
  for (const takes of [0, 0.5]) {
    const { session, asked } = taker({ asIs: false, takes });
    await expect(agentCopyIn(session, from, "/x")).rejects.toThrow(`took ${takes * PIECE.length} of ${PIECE.length} bytes`);
    expect(asked.at(-1)).toBe("guest-file-close");
  }
});

// BassT23/Proxmox 256: Red Hat's agents forbid guest-exec, and a tool took them for absent
it("goes piece by piece where the agent's owner forbids to start programs", async () => {
  const from = path.join(folder, "from");
  await writeFile(from, three);
  const { session, asked, bytes } = taker({ asIs: true });
  const forbidding: typeof session = {
    machine: {
      ask: (what: string, request: { command: string }) =>
        request.command === "guest-copy-open"
          ? Promise.reject(new Error("Command guest-exec has been disabled: the command is not allowed"))
          : session.machine.ask(what as "agent", request),
    } as typeof session.machine,
  };
  await agentCopyIn(forbidding, from, "/x");
  expect(asked).not.toContain("guest-copy-write");
  expect(bytes().equals(three)).toBe(true);
});

it("that fails says why, where the agent does not close the file either", async () => {
  const ask = async (_: string, { command }: { command: string }): Promise<unknown> => {
    if (command === "guest-file-open") return 1;
    throw new Error(command === "guest-file-close" ? "Invalid handle" : "No space left on device");
  };
  const session = { machine: { ask } } as unknown as Parameters<typeof agentCopyIn>[0];
  const from = path.join(folder, "from");
  await writeFile(from, PIECE.subarray(0, 100));
  await expect(agentCopyIn(session, from, "/x")).rejects.toThrow("No space left on device");
});
