/** What readers and their operators do beside typing what a page says. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect } from "vitest";
import type { Guest } from "./guest.ts";

/** What it says on stdout, as JSON. */
async function asked<T>(guest: Guest, command: string): Promise<T> {
  const { code, text } = await guest.types(`${command} 2>/dev/null`);
  expect(code, `${command}\n${text}`).toBe(0);
  return JSON.parse(text) as T;
}

export async function newestLease(guest: Guest): Promise<string> {
  const { leases } = await asked<{ leases: { id: string }[] }>(guest, "xeno ps --all --json");
  return leases[0]!.id;
}

export const partyOf = async (guest: Guest): Promise<string> => (await asked<{ party: string }>(guest, "xeno whoami --json")).party;

/** The demo's operator gives the reader one credit. */
export async function creditedByDemo(guest: Guest): Promise<void> {
  const demo = path.join(guest.home, ".local/share/xeno/demo");
  const { code, text } = await guest.types(
    `XENO_HOME='${demo}' xeno broker credit ${await partyOf(guest)} 1 --data '${path.join(demo, "broker")}'`,
  );
  expect(code, text).toBe(0);
}

export async function runBy(guest: Guest, name: string, program: string, says: RegExp): Promise<void> {
  await writeFile(path.join(guest.folder, name), program);
  const { code, text } = await guest.types(`node ${name}`);
  expect(code, text).toBe(0);
  expect(text).toMatch(says);
}

/** The page's settings, as the product reads them. */
export async function checkedBy(guest: Guest, settings: string): Promise<void> {
  const file = path.join(guest.folder, "xenoserver.toml");
  await writeFile(file, settings);
  const { code, text } = await guest.types(`xeno serve --check --config '${file}'`);
  expect(code, text).toBe(0);
  expect(text).toMatch(/eu/);
}
