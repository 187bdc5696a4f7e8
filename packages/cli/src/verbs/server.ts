/** `xeno server`: the xenoserver that runs here. */
import { rename } from "node:fs/promises";
import path from "node:path";
import { clockWords } from "@xenoservers/market";
import { visible, zServerStanding } from "@xenoservers/protocol";
import * as z from "zod/mini";
import { mib, shortId } from "@xenoservers/sdk";
import type { ServerInput } from "../input/verbs/owner.ts";
import { ask } from "../local/local-socket.ts";
import { serverFolder } from "../local/server-folder.ts";
import { standingLines } from "../output/standing-lines.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, duration, table } from "../output/ui.ts";

type ServerCommand = "status" | "reread" | "drain" | "undrain" | "stop" | "stop-now" | "retire";

const STATUS_WITHIN_MS = 5_000;
/** Guests of running leases end first. */
const DRAINED_WITHIN_MS = 24 * 3_600_000;

const zState = z.looseObject({
  server: z.string(),
  connected: z.boolean(),
  draining: z.boolean(),
  reread: z.optional(z.array(z.string())),
  moved: z.optional(z.array(z.string())),
  stay: z.optional(z.array(z.looseObject({ lease: z.string(), why: z.string() }))),
  moveListen: z.optional(z.string()),
  hours: z.optional(z.nullable(z.string())),
  standing: z.optional(zServerStanding),
  clock: z.nullable(z.looseObject({ offsetMs: z.number(), allowedMs: z.number(), isRight: z.boolean() })),
  leases: z.array(
    z.looseObject({
      lease: z.string(),
      stage: z.string(),
      usedMs: z.number(),
      resources: z.looseObject({ vcpu: z.number(), memoryMib: z.number() }),
    }),
  ),
});

/** What a drain to another server will not take away from here, said before anything moves. */
export async function sayWhatStays(data: string | null): Promise<void> {
  const folder = serverFolder(data);
  // a daemon that is not there, of an earlier version, or too busy to answer now, is the drain's to speak of
  const state = zState.safeParse(await ask(folder, { command: "moves" }, STATUS_WITHIN_MS).catch(() => null));
  for (const { lease, why } of state.data?.stay ?? []) say(`will stay: ${shortId(lease)}: ${visible(why)}`);
}

/** `more`: what else the daemon is told. */
export async function serverCommand(
  { data, json }: ServerInput,
  command: ServerCommand,
  more: Record<string, unknown> = {},
): Promise<void> {
  const folder = serverFolder(data);
  const answer = await ask(folder, { command, ...more }, command === "status" ? STATUS_WITHIN_MS : DRAINED_WITHIN_MS);
  if (!answer) throw new UserError(`no xenoserver runs on ${folder}; start it with \`xeno serve\``);
  if (answer["error"] !== undefined) throw new UserError(String(answer["error"]));
  if (command === "retire") await retire(folder);
  if (json) return printJson(answer);
  const state = zState.safeParse(answer);
  if (!state.success) return print(`the xenoserver of ${folder} is ${String(answer["state"] ?? "starting")}`);
  const { server, connected, draining, clock, leases } = state.data;
  const standing = draining ? ", drained: it takes no new leases until `xeno server drain --undo`" : "";
  print(`${server}  ${connected ? "connected" : "not connected"}${standing}`);
  if (state.data.reread) print(...state.data.reread);
  for (const lease of state.data.moved ?? []) print(`moved: ${shortId(lease)}`);
  if (state.data.moved?.length === 0 && state.data.stay?.length === 0) print("nothing runs here that could move");
  for (const { lease, why } of state.data.stay ?? []) print(`stays: ${shortId(lease)}: ${visible(why)}`);
  if (state.data.moveListen !== undefined) print(moveLine(server, state.data.moveListen));
  if (state.data.hours) print(`listed only ${state.data.hours}`);
  if (clock) print(clockLine(clock));
  if (state.data.standing) print(...standingLines(state.data.standing));
  if (leases.length === 0) return;
  table(
    ["lease", "stage", "used", "resources"],
    leases.map(({ lease, stage, usedMs, resources }) => [
      shortId(lease),
      stage,
      duration(usedMs),
      `${resources.vcpu} vCPU ${mib(resources.memoryMib)}`,
    ]),
  );
}

/** Where it listens on all addresses, its owner knows by which one the other server reaches it. */
function moveLine(server: string, listen: string): string {
  const at = listen.replace(/^(?:0\.0\.0\.0|\[::\]):/, "HOST:");
  return `leases of another server of yours come here by: xeno server drain --to ${server}@${at}`;
}

function clockLine(clock: { offsetMs: number; allowedMs: number; isRight: boolean }): string {
  const off = `this machine's clock: ${clockWords(clock)}`;
  if (clock.isRight) return off;
  return `${off}, ${clock.allowedMs / 1_000} s is the most: not listed. Set it, by NTP: timedatectl set-ntp true`;
}

/** The machine leaves the market: its key is put aside, so that it cannot be listed again by accident. */
async function retire(folder: string): Promise<void> {
  await rename(path.join(folder, "server-identity.json"), path.join(folder, `server-identity.retired-${Date.now()}.json`));
  say("retired; the owner can also revoke its key: xeno key revoke KEY");
}
