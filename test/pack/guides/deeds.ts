/** What readers and their operators do beside typing what a page says. */
import { equal, match } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Guest } from "./guest.ts";

/** What it says on stdout, as JSON. */
async function asked<T>(guest: Guest, command: string): Promise<T> {
  const { code, text } = await guest.types(`${command} 2>/dev/null`);
  equal(code, 0, `${command}\n${text}`);
  return JSON.parse(text) as T;
}

export async function newestLease(guest: Guest): Promise<string> {
  const { leases } = await asked<{ leases: { id: string }[] }>(guest, "xeno ps --all --json");
  return leases[0]!.id;
}

export const partyOf = async (guest: Guest): Promise<string> => (await asked<{ party: string }>(guest, "xeno whoami --json")).party;

/** The demo's operator gives the reader so many credits. */
export const creditedByDemo =
  (credits: number) =>
  async (guest: Guest): Promise<void> => {
    const demo = path.join(guest.home, ".local/share/xeno/demo");
    const { code, text } = await guest.types(
      `XENO_HOME='${demo}' xeno broker credit ${await partyOf(guest)} ${credits} --data '${path.join(demo, "broker")}'`,
    );
    equal(code, 0, text);
  };

/** What the pipeline came to; its token has replaced nothing of the person whose machine it is here, who goes on. */
export async function endsPipeline(guest: Guest): Promise<void> {
  await guest.sees("run.json", '"stdout":"hello\\n"');
  const { code, text } = await guest.types("xeno context use demo.local");
  equal(code, 0, text);
}

export async function runBy(guest: Guest, name: string, program: string, says: RegExp): Promise<void> {
  await writeFile(path.join(guest.folder, name), program);
  const { code, text } = await guest.types(`node ${name}`);
  equal(code, 0, text);
  match(text, says);
}

/** The page's settings, as the product reads them. */
export async function checkedBy(guest: Guest, settings: string): Promise<void> {
  const file = path.join(guest.folder, "xenoserver.toml");
  await writeFile(file, settings);
  const { code, text } = await guest.types(`xeno serve --check --config '${file}'`);
  equal(code, 0, text);
  match(text, /^given +2 vCPU, 4G memory, 1G /m);
}
