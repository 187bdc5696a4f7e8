/** How a machine ended, as it stands in a file of its folder for the daemons that come later. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { isRecord, parseOwn } from "../../json.ts";
import { writeOwn } from "../../write-own.ts";
import type { OciEnd } from "../oci/job-port.ts";
import type { MachineEnd } from "./machine-end.ts";

type Deterministic = Extract<MachineEnd, { kind: "deterministic" }>;
type Job = OciEnd & { stopped: boolean; endedMonotonicMs?: number };
/** Those of earlier versions lack what may be absent here. */
type Written =
  | (OciEnd & { stopped?: boolean; endedMonotonicMs?: number })
  | (Omit<Deterministic, "instructions"> & { instructions: string });

export function isEntry(value: unknown): value is InputEntry {
  if (!isRecord(value) || typeof value["path"] !== "string") return false;
  const { kind, digest, size, target } = value;
  if (kind === "file") return typeof digest === "string" && typeof size === "number";
  return kind === "directory" || (kind === "link" && typeof target === "string");
}

function isWritten(value: unknown): value is Written {
  if (!isRecord(value)) return false;
  const { kind, instructions, memoryHash, exitCode, tree, detail, endedMonotonicMs } = value;
  if (kind === "deterministic") return typeof instructions === "string" && /^\d+$/.test(instructions) && typeof memoryHash === "string";
  if (endedMonotonicMs !== undefined && typeof endedMonotonicMs !== "number") return false;
  return typeof exitCode === "number" && Array.isArray(tree) && tree.every(isEntry) && typeof detail === "string";
}

const fileOf = (folder: string): string => path.join(folder, "end.json");

export async function writeEnd(folder: string, end: Job | Deterministic): Promise<void> {
  const written: Written = "instructions" in end ? { ...end, instructions: end.instructions.toString() } : end;
  await writeOwn(fileOf(folder), JSON.stringify(written));
}

/** Null where none was written. */
export async function readEnd(folder: string): Promise<MachineEnd | null> {
  const text = await readFile(fileOf(folder), "utf8").catch(() => null);
  if (text === null) return null;
  const end = parseOwn(fileOf(folder), text, isWritten);
  return "instructions" in end
    ? { ...end, instructions: BigInt(end.instructions) }
    : { ...end, kind: "job", stopped: end.stopped === true };
}
