import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask, ownFolder } from "./local-socket.ts";

let folder: string;
let server: Server;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-socket-"));
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

/** What comes back of these bytes. */
async function send(bytes: string | Buffer): Promise<string> {
  const socket = connect(path.join(folder, "control.sock"));
  socket.end(bytes);
  return text(socket);
}

describe("the program that owns a folder", () => {
  beforeEach(async () => {
    server = await ownFolder(folder, "a broker", async ({ command }) => {
      if (command === "fail") throw new Error("it failed");
      return { did: command };
    });
  });

  it("a folder that nothing can be made in is named at once, with what to do", async () => {
    // there takes a folder above none, as an automounter's
    for (const [at, why] of [
      ["/proc/xeno/broker", "/proc: nothing can be made there"],
      [path.join("/dev/null", "x"), "/dev/null: it is no folder"],
    ])
      await expect(ownFolder(at ?? "", "a broker", async () => ({}))).rejects.toThrow(
        `nothing can be kept in ${at} (${why}): mend that, or name another folder (--data, XENO_HOME)`,
      );
  });

  it.each<[string, string | Buffer]>([
    ["no JSON", "hello\n"],
    ["nothing", "\n"],
    ["no object", "[]\n"],
    ["null", "null\n"],
    ["no command", '{"a":1}\n'],
    ["a command that is no text", '{"command":{}}\n'],
    ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00, 0x0a])],
    ["a line without an end", "x".repeat(100_000)],
  ])("answers %s in words and goes on", async (_, line) => {
    expect(await send(line)).toBe(
      `${JSON.stringify({ error: 'a request is one line of JSON with a command, such as {"command":"status"}' })}\n`,
    );
    expect(await ask(folder, { command: "go on" })).toEqual({ did: "go on" });
  });

  it("answers the first line of several, and nobody who left before the line ended", async () => {
    expect(await send('{"command":"one"}\n{"command":"two"}\n')).toBe('{"did":"one"}\n');
    expect(await send('{"command":')).toBe("");
    expect(await ask(folder, { command: "fail" })).toEqual({ error: "it failed" });
  });

  it("is named to who wants the folder too", async () => {
    await expect(ownFolder(folder, "another", async () => ({}))).rejects.toThrow(/^a broker runs on .* already \(pid \d+\); stop it first/);
  });
});

it.each(["no JSON", "[]", "", "null"])("an answer that is none is said: %s", async (answer) => {
  server = createServer((socket) => socket.on("data", () => socket.end(answer)));
  await new Promise<void>((resolve) => server.listen(path.join(folder, "control.sock"), resolve));
  await expect(ask(folder, { command: "status" })).rejects.toThrow(`the program of ${folder} gave no answer`);
});
