/** How a domain ended, by what its kernel told the hypervisor; and as it stands in a file of its folder for the daemons that come later. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { isRecord, parseOwn } from "../json.ts";
import type { MachineEnd } from "../qemu/machine/machine-end.ts";
import { isEntry } from "../qemu/machine/written-end.ts";
import { panicLine } from "../qemu/machine/panic-line.ts";
import { writeOwn } from "../write-own.ts";
import type { ShutdownReason } from "./listing.ts";

export type DomainEnd = Exclude<MachineEnd, { kind: "deterministic" | "memory-limit" }>;

/** `console`: the last of what it printed. Null where it wants to start again. What a guest can bring about is never its host's doing. */
export function endOfShutdown(reason: ShutdownReason, console: string): DomainEnd | null {
  switch (reason) {
    case "poweroff":
      return { kind: "shutdown", isReset: false };
    case "reboot":
      return null;
    case "crash":
      return { kind: "panic", detail: panicLine(console) };
    case "watchdog":
      return { kind: "hang" };
    case "suspend":
      return { kind: "panic", detail: "its kernel suspended itself, which nobody had asked for" };
    case "soft-reset":
      return { kind: "panic", detail: "its kernel wanted to put another in its place, which a domain cannot here" };
  }
}

const fileOf = (folder: string): string => path.join(folder, "end.json");

const KINDS: Readonly<Record<DomainEnd["kind"], true>> = {
  ...{
    shutdown: true,
    job: true,
    panic: true,
    hang: true,
    "output-limit": true,
    stopped: true,
    crashed: true,
    host: true,
    "no-room": true,
  },
};
const SAY_WHY: readonly unknown[] = ["panic", "output-limit", "crashed", "host"] satisfies DomainEnd["kind"][];

const isJob = ({ exitCode, tree, detail, stopped }: Record<string, unknown>): boolean =>
  typeof exitCode === "number" && typeof detail === "string" && typeof stopped === "boolean" && Array.isArray(tree) && tree.every(isEntry);

function isEnd(value: unknown): value is DomainEnd {
  if (!isRecord(value) || typeof value["kind"] !== "string" || !Object.hasOwn(KINDS, value["kind"])) return false;
  if (value["kind"] === "shutdown") return typeof value["isReset"] === "boolean";
  if (value["kind"] === "job") return isJob(value);
  return !SAY_WHY.includes(value["kind"]) || typeof value["detail"] === "string";
}

export const writeDomainEnd = (folder: string, end: DomainEnd): Promise<void> => writeOwn(fileOf(folder), JSON.stringify(end));

/** Null where none was written. */
export async function readDomainEnd(folder: string): Promise<DomainEnd | null> {
  const text = await readFile(fileOf(folder), "utf8").catch(() => null);
  return text === null ? null : parseOwn(fileOf(folder), text, isEnd);
}
