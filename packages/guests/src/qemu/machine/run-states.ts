/**
 * When a machine ended that nobody followed. QEMU writes into its log how it stands from now on, and the kernel gives that the time:
 * neither the guest nor QEMU, whose file it is not, can set it. Who controls the inputs: QEMU (the lines), which is taken to be the
 * guest's.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { guestTextEnd } from "../../guest-files.ts";
import { VM_FILES } from "./plan.ts";
import { monotonicMs, type Away } from "./unheard.ts";

/** Of what QEMU writes into its log, which has no bound but that of a file. */
export const LOG_BYTES_MAX = 64 * 1024;

/** `runstate_set current_run_state 9 (running) new_state 11 (shutdown)`, behind a process and a time where QEMU says them. */
const LINE = /^(?:\d+@[\d.]+:)?runstate_set .* \(([a-z-]+)\)$/gm;
/** From these a machine does not go on (qapi/run-state.json). */
const ENDED: ReadonlySet<string> = new Set(["shutdown", "guest-panicked", "watchdog", "internal-error"]);

/** The log's text, without what is said of how the machine stands. */
export const withoutRunStates = (log: string): string => log.replaceAll(/^(?:\d+@[\d.]+:)?runstate_set .*\n?/gm, "");

/** When it came to stand still for good, by this host's monotonic clock; null: it did not, or nobody knows. */
async function stoodMs(folder: string): Promise<number | null> {
  const log = path.join(folder, VM_FILES.log);
  const stats = await stat(log).catch(() => null);
  if (stats === null) return null;
  const last = [...(await guestTextEnd(folder, VM_FILES.log, LOG_BYTES_MAX)).matchAll(LINE)].at(-1)?.[1] ?? "";
  return ENDED.has(last) ? monotonicMs() - (Date.now() - stats.mtimeMs) : null;
}

/**
 * When it ended in the time in which nobody followed it; where nobody knows, before that. Undefined: it ended since, and was heard.
 * `wasOver`: it had ended when it was found.
 */
export async function endedAwayMs(folder: string, { fromMs, toMs }: Away, wasOver: boolean): Promise<number | undefined> {
  const at = await stoodMs(folder);
  if (at === null ? !wasOver : at > toMs) return undefined;
  return Math.max(fromMs, at ?? fromMs);
}
