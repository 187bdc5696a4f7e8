/**
 * A job's result as this machine keeps it for a map that goes on. Its verification is made anew from the receipt. Who controls the inputs:
 * this machine's disk; what stands in it a stranger's job said.
 */
import { END_REASONS } from "@xenoservers/market";
import { fromHex, toHex } from "@xenoservers/protocol";
import * as z from "zod/mini";
import type { JobResult } from "../job-result.ts";
import { textOf } from "../output.ts";
import { RUN_STATES } from "./run-state.ts";

export type KeptResult = Omit<JobResult, "verification">;

/** Files that came to the program and are larger together are fetched again from where they lie. */
const KEPT_BYTES_MAX = 1024 * 1024;

const zNanos = z.pipe(
  z.string().check(z.regex(/^-?\d{1,30}$/)),
  z.transform((text: string) => BigInt(text)),
);
const zBytes = z.pipe(
  z.string().check(z.regex(/^(?:[0-9a-f]{2})*$/)),
  z.transform((text) => fromHex(text) ?? new Uint8Array()),
);

const zKept = z.strictObject({
  lease: z.string(),
  run: z.exactOptional(z.strictObject({ index: z.int().check(z.gte(0)), state: z.enum(RUN_STATES) })),
  ok: z.boolean(),
  end: z.strictObject({ reason: z.enum(END_REASONS), blame: z.string(), at: z.number(), audited: z.nullable(z.boolean()) }),
  exitCode: z.nullable(z.number()),
  detail: z.string(),
  bill: z.strictObject({
    ...{ dueNanos: zNanos, ownerNanos: zNanos, feeNanos: zNanos, refundNanos: zNanos, billableFuel: zNanos },
    billableMs: z.number(),
  }),
  printed: z.strictObject({ stdout: zBytes, stderr: zBytes }),
  isCut: z.boolean(),
  files: z.array(z.strictObject({ name: z.string(), size: z.number(), digest: z.string(), bytes: z.nullable(zBytes) })),
  delivered: z.nullable(z.enum(["server", "broker"])),
});

const written = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

/** Null where it is too large. */
export function resultText({ verification: _, stdout: _text, stderr: _texts, ...result }: JobResult): string | null {
  const bytes = result.files.reduce((sum, { bytes: own }) => sum + (own?.length ?? 0), 0);
  if (bytes > KEPT_BYTES_MAX) return null;
  const files = result.files.map((file) => ({ ...file, bytes: file.bytes && toHex(file.bytes) }));
  const printed = { stdout: toHex(result.printed.stdout), stderr: toHex(result.printed.stderr) };
  return JSON.stringify({ ...result, files, printed }, written);
}

/** Null where it cannot be read. */
export function resultIn(text: string): KeptResult | null {
  try {
    const kept = zKept.parse(JSON.parse(text));
    return { ...kept, stdout: textOf(kept.printed.stdout), stderr: textOf(kept.printed.stderr) };
  } catch {
    return null;
  }
}
