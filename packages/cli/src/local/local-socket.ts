/**
 * One running program per data folder, and a way to talk to it: a Unix socket that answers one JSON line with one JSON line. A socket that nobody
 * answers is left over from a crash and is taken over.
 */
import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { UserError } from "../output/ui.ts";

const SOCKET_PATH_MAX = 100;

export function socketPath(folder: string): string {
  const direct = path.join(path.resolve(folder), "control.sock");
  return direct.length <= SOCKET_PATH_MAX
    ? direct
    : path.join(tmpdir(), `xeno-${createHash("sha256").update(path.resolve(folder)).digest("hex").slice(0, 24)}.sock`);
}

/** The answer of the program that owns the folder; null when none runs. */
export function ask(folder: string, request: { [key: string]: unknown }, withinMs = 5_000): Promise<Record<string, unknown> | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(folder));
    let text = "";
    socket.setTimeout(withinMs, () => socket.destroy(new UserError(`the program of ${folder} does not answer`)));
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ENOENT" || error.code === "ECONNREFUSED" ? resolve(null) : reject(error)));
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("end", () => {
      try {
        resolve(JSON.parse(text) as Record<string, unknown>);
      } catch {
        reject(new UserError(`the program of ${folder} gave no answer`));
      }
    });
  });
}

/** Becomes the owner of the folder; throws UserError when another program is. */
export async function ownFolder(folder: string, what: string, answer: (request: Record<string, unknown>) => Promise<Record<string, unknown>>): Promise<Server> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const other = await ask(folder, { command: "who" });
  if (other)
    throw new UserError(
      `${String(other["what"] ?? "xeno")} runs on ${path.resolve(folder)} already (pid ${String(other["pid"])}${other["url"] ? `, ${String(other["url"])}` : ""}); stop it first or use --data OTHER`,
    );
  await rm(socketPath(folder), { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes("\n")) return;
      const request = JSON.parse(text.slice(0, text.indexOf("\n"))) as Record<string, unknown>;
      void (request["command"] === "who" ? answer(request).then((more) => ({ what, pid: process.pid, ...more })) : answer(request)).then(
        (reply) => socket.end(`${JSON.stringify(reply)}\n`),
        (error: unknown) => socket.end(`${JSON.stringify({ error: String((error as Error).message) })}\n`),
      );
    });
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(socketPath(folder), resolve));
  return server;
}
