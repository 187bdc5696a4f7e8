/** An agent's host that was given the page's settings: it starts what they name, and calls a tool. */
import { deepEqual, notEqual, ok } from "node:assert/strict";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { z } from "zod";
import type { Guest } from "./guest.ts";

const zSettings = z.object({
  mcpServers: z.object({
    xenoservers: z.object({ command: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) }),
  }),
});

export async function asAgent(guest: Guest, settings: string): Promise<void> {
  const { command, args, env } = zSettings.parse(JSON.parse(settings)).mcpServers.xenoservers;
  const client = new Client({ name: "a page's reader", version: "1" });
  await client.connect(
    new StdioClientTransport({ command, args, env: { ...guest.environment(), ...env }, cwd: guest.folder, stderr: "ignore" }),
  );
  try {
    const { tools } = await client.listTools();
    const names = new Set(tools.map(({ name }) => name));
    deepEqual(
      ["search", "quote", "run", "receipts"].filter((name) => !names.has(name)),
      [],
    );
    const answer = await client.callTool({ name: "run", arguments: { python: "print('hello from an agent')", budget: "0.05" } });
    notEqual(answer.isError, true, JSON.stringify(answer.content));
    ok(JSON.stringify(answer.structuredContent).includes("hello from an agent"));
  } finally {
    await client.close();
  }
}
