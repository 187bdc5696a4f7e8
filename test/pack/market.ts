/** A market for whoever has installed something. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect } from "vitest";
import { placeDatabase, preparedCache } from "../shared.ts";
import { ended } from "./install.ts";

export interface DemoMarket {
  url: string;
  lease: string;
  /** Gives a party one credit. */
  credit(party: string): Promise<void>;
  /** One of its customer's, which may spend a credit a day. */
  token(): Promise<string>;
  close(): Promise<void>;
}

/**
 * A market that goes on serving, started by the command under test; `url` is where. It finds its database made and Python prepared, as
 * from its second start on.
 */
export async function demoMarket(node: string, xeno: string, data: string, ...words: string[]): Promise<DemoMarket> {
  await placeDatabase(path.join(data, "broker"));
  await cp(await preparedCache(data), path.join(data, "prepared"), { recursive: true });
  const env = { ...process.env, XENO_HOME: path.join(data, "home") };
  const child = spawn(node, [xeno, "demo", "--json", "--data", data, "--port", "0", ...words], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(child.stdout!)) {
    const { url, lease, ok } = JSON.parse(line) as { ok: boolean; url: string; lease: string };
    expect(ok).toBe(true);
    const close = async (): Promise<void> => {
      const over = once(child, "exit");
      child.kill("SIGTERM");
      await over;
    };
    const credit = async (party: string): Promise<void> => {
      const said = await ended(node, [xeno, "broker", "credit", party, "1", "--data", path.join(data, "broker")], { XENO_HOME: data });
      expect(said.code, said.stderr).toBe(0);
    };
    const token = async (): Promise<string> => {
      const said = await ended(node, [xeno, "token", "create", "--max-per-day", "1"], { XENO_HOME: data });
      expect(said.code, said.stderr).toBe(0);
      return said.stdout.trim();
    };
    return { url, lease, credit, token, close };
  }
  throw new Error("the demo ended without a word");
}
