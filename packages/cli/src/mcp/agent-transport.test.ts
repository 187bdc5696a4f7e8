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
