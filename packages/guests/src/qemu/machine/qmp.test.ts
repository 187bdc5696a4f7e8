import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GuestAgent, AGENT_ANSWER_BYTES_MAX } from "./agent.ts";
import { JsonLines, QMP_LINE_BYTES_MAX, QmpError, connectSocket } from "./qmp.ts";

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
  const lines = new JsonLines(await connectSocket(file), QMP_LINE_BYTES_MAX);
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

/** Without the byte that ends what another left half-said. */
const asIs = (line: string): string => line.replace("\uFFFD", "");

/** An answer in a line of so many bytes. */
const answerOf = (bytes: number): string => JSON.stringify({ return: "x".repeat(bytes - JSON.stringify({ return: "" }).length) });

describe("a line from a machine", () => {
  it("is taken at its bound, and one byte more is never parsed: its asker is told, and the socket ends", async () => {
    await asked([answerOf(QMP_LINE_BYTES_MAX), answerOf(QMP_LINE_BYTES_MAX + 1)], async (lines) => {
      await expect(lines.execute("first")).resolves.toMatch(/^x+$/);
      await expect(lines.execute("second")).rejects.toThrow(`longer than ${QMP_LINE_BYTES_MAX} bytes`);
      await lines.closed;
      await expect(lines.execute("third")).rejects.toThrow("closed");
    });
  });

  it("is so from the guest's agent, too, which is asked again afterwards", async () => {
    const file = path.join(folder, "agent.sock");
    const answers = [AGENT_ANSWER_BYTES_MAX, AGENT_ANSWER_BYTES_MAX + 1, 100].map(answerOf);
    const server = createServer((socket) =>
      createInterface(socket).on("line", (line) => {
        const { execute, arguments: given } = JSON.parse(asIs(line)) as { execute: string; arguments: { id: number } };
        socket.write(`${execute === "guest-sync" ? JSON.stringify({ return: given.id }) : answers.shift()}\n`);
      }),
    );
    await new Promise<void>((resolve) => server.listen(file, resolve));
    const agent = new GuestAgent(() => connectSocket(file));
    try {
      await expect(agent.ask("guest-exec-status", {})).resolves.toMatch(/^x+$/);
      await expect(agent.ask("guest-exec-status", {})).rejects.toThrow(`longer than ${AGENT_ANSWER_BYTES_MAX} bytes: ask for less`);
      await expect(agent.ask("guest-ping", {})).resolves.toMatch(/^x+$/);
    } finally {
      agent.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("is waited for as long as it takes to boot, and told the time as it is then; one that refuses is told again", async () => {
    const file = path.join(folder, "booting.sock");
    const heard: { execute: string; arguments: { id?: number; time?: number } }[] = [];
    let [asleep, refusals] = [3, 1];
    const server = createServer((socket) => {
      if (asleep-- > 0) return void socket.once("data", () => socket.destroy());
      createInterface(socket).on("line", (line) => {
        const request = JSON.parse(asIs(line)) as (typeof heard)[number];
        heard.push(request);
        const isRefused = request.execute === "guest-set-time" && refusals-- > 0;
        const answer = isRefused ? { error: { class: "GenericError", desc: "busy" } } : { return: request.arguments.id ?? {} };
        socket.write(`${JSON.stringify(answer)}\n`);
      });
    });
    await new Promise<void>((resolve) => server.listen(file, resolve));
    const agent = new GuestAgent(() => connectSocket(file));
    const times = () => heard.filter(({ execute }) => execute === "guest-set-time").map((each) => each.arguments.time! / 1_000_000);
    let now = 1;
    try {
      await agent.tellTime(5);
      expect(times()).toEqual([expect.any(Number), expect.any(Number)]);
      const ping = agent.ask("guest-ping", {}).then(() => (now = 2));
      await Promise.all([ping, agent.ask("guest-set-time", () => ({ time: now }))]);
      expect(heard.at(-1)).toEqual({ execute: "guest-set-time", arguments: { time: 2 } });
      agent.close();
      asleep = Number.POSITIVE_INFINITY;
      await agent.tellTime(2);
      expect(times()).toHaveLength(3);
    } finally {
      agent.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("is waited for as long as whoever asks it has said, and its late answer is nobody's", async () => {
    const file = path.join(folder, "busy.sock");
    const server = createServer((socket) =>
      createInterface(socket).on("line", (line) => {
        const { id } = (JSON.parse(asIs(line)) as { arguments: { id?: number } }).arguments;
        if (id !== undefined) socket.write(`${JSON.stringify({ return: id })}\n`);
      }),
    );
    await new Promise<void>((resolve) => server.listen(file, resolve));
    const agent = new GuestAgent(() => connectSocket(file), 1);
    try {
      await expect(agent.ask("guest-exec", {})).rejects.toThrow("no answer to guest-exec within 1 ms");
    } finally {
      agent.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("is heard where others left half a request and answers of their own, which come one by one", async () => {
    // as the agent does: what it cannot read is refused piece by piece, up to the byte that no request has
    const REFUSED = '{"error":{"class":"GenericError","desc":"JSON parse error, expecting value"}}\n';
    const left = ['{"return":{"count":3,"eof":false}}\n', ...Array.from({ length: 6 }, () => REFUSED)];
    let isCut = true;
    const heard: string[] = [];
    const wire = new Duplex({
      read: () => {},
      async write(bytes: Buffer, _, done) {
        heard.push(bytes.toString("latin1"));
        done();
        for (let each = left.shift(); each; each = left.shift()) {
          wire.push(each);
          await new Promise((resolve) => setImmediate(resolve));
        }
        isCut &&= !bytes.includes(0xff);
        const { id } = (JSON.parse(asIs(bytes.toString())) as { arguments: { id?: number } }).arguments;
        wire.push(isCut ? REFUSED : `${JSON.stringify({ return: id ?? "pong" })}\n`);
      },
    });
    const agent = new GuestAgent(async () => wire);
    await expect(agent.ask("guest-ping", {})).resolves.toBe("pong");
    expect(heard).toHaveLength(2);
    expect(heard[0]!.charCodeAt(0)).toBe(0xff);
    agent.close();
  });
});
