import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JsonLines, QmpError, connectSocket } from "./qmp.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-qmp-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The other side answers each request with one of these lines. */
async function asked<T>(answers: readonly string[], ask: (lines: JsonLines) => Promise<T>): Promise<T> {
  const file = path.join(folder, "qmp.sock");
  const left = [...answers];
  const server = createServer((socket) => socket.on("data", () => socket.write(`${left.shift()}\n`)).on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(file, resolve));
  const lines = new JsonLines(await connectSocket(file));
  try {
    return await ask(lines);
  } finally {
    lines.close();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("QEMU's control protocol", () => {
  it.each(['{"error":null}', '{"error":7}', '{"error":{}}', '{"error":{"desc":null}}', '{"error":{"desc":{"toString":0,"valueOf":0}}}'])(
    "survives a refusal that is none: %s",
    async (answer) => {
      await asked([answer, '{"return":7}'], async (lines) => {
        await expect(lines.execute("stop")).rejects.toThrow(new QmpError("refused"));
        await expect(lines.execute("cont")).resolves.toBe(7);
      });
    },
  );

  it("takes an event's data for none where it is no object", async () => {
    await asked(['{"event":"SHUTDOWN","data":"guest-reset"}\n{"return":{}}'], async (lines) => {
      const events: unknown[] = [];
      lines.onEvent = (event) => void events.push(event);
      await lines.execute("cont");
      expect(events).toEqual([{ event: "SHUTDOWN", data: {} }]);
    });
  });
});
