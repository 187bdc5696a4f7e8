import { PassThrough, Writable } from "node:stream";
import { expect, it } from "vitest";
import { AgentTransport } from "./agent-transport.ts";

const MESSAGE_BYTES_MAX = 1_000;

async function started(stdin: PassThrough, stdout: Writable): Promise<AgentTransport> {
  const transport = new AgentTransport(stdin, stdout, { maxBufferSize: MESSAGE_BYTES_MAX });
  transport.onerror = () => {};
  await transport.start();
  return transport;
}

it("is over when a message is too long, though the agent stays", async () => {
  const stdin = new PassThrough();
  const transport = await started(stdin, new PassThrough());
  stdin.write("x".repeat(MESSAGE_BYTES_MAX + 1));
  await transport.closed;
  expect([stdin.readableEnded, stdin.destroyed]).toEqual([false, false]);
});

it("is over when nobody takes answers any more, though the agent still speaks", async () => {
  const stdin = new PassThrough();
  const broken = new Writable({ write: (_, __, done) => done(new Error("EPIPE")) });
  const transport = await started(stdin, broken);
  await transport.send({ jsonrpc: "2.0", method: "notifications/x" }).catch(() => {});
  await transport.closed;
  expect(stdin.destroyed).toBe(false);
});

it("is over when the agent has gone", async () => {
  const stdin = new PassThrough();
  const transport = await started(stdin, new PassThrough());
  stdin.end();
  await expect(transport.closed).resolves.toBeUndefined();
});

it("refuses by its number what is no request, which an agent would wait for, and goes on", async () => {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const transport = await started(stdin, stdout);
  const heard: unknown[] = [];
  transport.onmessage = (message) => void heard.push(message);
  const wrong = [
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":null}',
    '{"id":"three","method":"tools/list"}',
    '[{"jsonrpc":"2.0","id":4,"method":"ping"},{"jsonrpc":"2.0","id":5,"method":"ping"}]',
    // nobody waits for an answer to these
    ...["{this is not json", "null", "7", '{"jsonrpc":"2.0","id":null,"method":"x"}', '{"jsonrpc":"2.0","id":{},"method":"x"}', '{"id":1}'],
  ];
  const right = '{"jsonrpc":"2.0","id":6,"method":"ping"}';
  // however it is cut
  for (const byte of Buffer.from(`${wrong.join("\r\n")}\n${right}\n`)) stdin.write(Buffer.of(byte));
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toEqual([JSON.parse(right)]);
  const answers = String(stdout.read()).trimEnd().split("\n");
  expect(answers.map((line) => JSON.parse(line) as unknown)).toMatchObject(
    [2, "three", 4, 5].map((id) => ({ jsonrpc: "2.0", id, error: { code: -32_600 } })),
  );
  await transport.close();
  expect(stdin.listenerCount("data")).toBe(0);
});
