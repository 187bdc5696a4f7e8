/**
 * One running program per data folder, and a way to talk to it: a Unix socket that answers one JSON line with one JSON line. A socket
 * that nobody answers is left over from a crash and is taken over.
 */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { jsonIn } from "@xenoservers/protocol";
import { folderFor } from "@xenoservers/sdk";
import * as z from "zod/mini";
import { UserError } from "../output/ui.ts";

const SOCKET_PATH_MAX = 100;
const LINE_CHARS_MAX = 65_536;

function socketPath(folder: string): string {
  const direct = path.join(path.resolve(folder), "control.sock");
  return direct.length <= SOCKET_PATH_MAX
    ? direct
    : path.join(tmpdir(), `xeno-${createHash("sha256").update(path.resolve(folder)).digest("hex").slice(0, 24)}.sock`);
}

const zAnswer = z.record(z.string(), z.unknown());
const zRequest = z.looseObject({ command: z.string() });
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The answer of the program that owns the folder; null when none runs. */
export function ask(folder: string, request: { [key: string]: unknown }, withinMs = 5_000): Promise<Record<string, unknown> | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(folder));
    let text = "";
    socket.setTimeout(withinMs, () => socket.destroy(new UserError(`the program of ${folder} does not answer`)));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ENOENT" || error.code === "ECONNREFUSED" ? resolve(null) : reject(error),
    );
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("end", () => {
      const answer = zAnswer.safeParse(jsonIn(text));
      if (answer.success) resolve(answer.data);
      else reject(new UserError(`the program of ${folder} gave no answer`));
    });
  });
}

type Answer = (request: Record<string, unknown>) => Promise<Record<string, unknown>>;

async function replyTo(line: string, what: string, answer: Answer): Promise<Record<string, unknown>> {
  try {
    const { data: request } = zRequest.safeParse(jsonIn(line));
    if (!request) return { error: 'a request is one line of JSON with a command, such as {"command":"status"}' };
    const reply = await answer(request);
    return request.command === "who" ? { what, pid: process.pid, ...reply } : reply;
  } catch (error) {
    return { error: messageOf(error) };
  }
}

/** One line in, one line out; who says more, or says half and leaves, is let go. */
function serveOne(socket: Socket, reply: (line: string) => Promise<Record<string, unknown>>): void {
  let text = "";
  const listen = (chunk: Buffer): void => {
    text += chunk.toString();
    const end = text.indexOf("\n");
    if (end < 0 && text.length <= LINE_CHARS_MAX) return;
    socket.off("data", listen).resume();
    const line = end < 0 ? "" : text.slice(0, end);
    void reply(line).then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
  };
  socket.on("error", () => socket.destroy());
  socket.on("data", listen);
  socket.on("end", () => socket.end());
}

/** Becomes the owner of the folder; throws UserError when another program is. */
export async function ownFolder(folder: string, what: string, answer: Answer): Promise<Server> {
  await folderFor(folder, "--data, XENO_HOME");
  const other = await ask(folder, { command: "who" });
  if (other) {
    const where = other["url"] ? `, ${String(other["url"])}` : "";
    const runs = `${String(other["what"] ?? "xeno")} runs on ${path.resolve(folder)} already (pid ${String(other["pid"])}${where})`;
    throw new UserError(`${runs}; stop it first or use --data OTHER`);
  }
  await rm(socketPath(folder), { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => serveOne(socket, (line) => replyTo(line, what, answer)));
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(socketPath(folder), resolve));
  return server;
}
