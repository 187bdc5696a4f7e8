/** How an image's program is held: its input, its terminal, how it is asked to end; as container engines read the same words. */
import { constants } from "node:os";
import path from "node:path";
import { STOP_GRACE_MS_MAX, USUAL_PROCESS, WINDOW_SIDE_MAX, type VmProcess } from "@xenoservers/protocol";
import * as z from "zod/mini";
import { InputError } from "../errors.ts";

/** The first and the last real-time signal that programs may use (signal(7), glibc). */
const [RTMIN, RTMAX] = [34, 64];
/** systemd halts at this one (systemd(1), SIGRTMIN+3). */
const HALT = RTMIN + 3;
const SYSTEMD = ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"];
const UNSIZED = { rows: 24, columns: 80 };

/** Null where it is none. */
export function signalIn(text: string): number | null {
  const [, name, shift] = /^(?:SIG)?([A-Z0-9]+?)(?:([+-]\d{1,2}))?$/.exec(text.toUpperCase()) ?? [];
  if (name === undefined) return null;
  const known: Readonly<Record<string, number>> = { ...constants.signals, SIGCLD: constants.signals.SIGCHLD };
  const base = /^\d+$/.test(name) ? Number(name) : name === "RTMIN" ? RTMIN : name === "RTMAX" ? RTMAX : known[`SIG${name}`];
  if (base === undefined || (shift !== undefined && !name.startsWith("RTM"))) return null;
  const signal = base + Number(shift ?? 0);
  return signal >= 1 && signal <= RTMAX && (shift === undefined || signal >= RTMIN) ? signal : null;
}

function stopSignalOf(asked: string | undefined, ofImage: string, program: string): number {
  const text = asked ?? ofImage;
  if (text === "") return SYSTEMD.includes(program) || path.posix.basename(program) === "systemd" ? HALT : USUAL_PROCESS.stopSignal;
  const signal = signalIn(text);
  if (signal !== null) return signal;
  throw new InputError(
    asked === undefined
      ? `the image's StopSignal '${text}' is no signal; name one: --stop-signal SIGTERM`
      : `--stop-signal '${text}' is no signal: write SIGTERM, 15 or SIGRTMIN+3`,
  );
}

/** In place of the image's: one program, a list of words as JSON, or nothing. */
export function entrypointFrom(text: string): string[] {
  if (text === "") return [];
  if (!text.startsWith("[")) return [text];
  const words = zWords.safeParse(jsonIn(text)).data;
  if (!words) throw new InputError(`--entrypoint '${text}' begins as a list and is none: write '["program","word"]'`);
  return words;
}

const zWords = z.array(z.string());

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export interface ProcessOptions {
  stdin: boolean;
  tty: boolean;
  workdir?: string;
  stopSignal?: string;
  /** Milliseconds. */
  stopGrace?: number;
}

/** What says how a program is held, where there is no image whose program that could be. */
export function refuseForImages({ tty, workdir, stopSignal, stopGrace }: ProcessOptions): void {
  const asked = Object.entries({ "--tty": tty || undefined, "--workdir": workdir, "--stop-signal": stopSignal, "--stop-grace": stopGrace });
  const option = asked.find(([, value]) => value !== undefined)?.[0];
  if (option !== undefined) throw new InputError(`${option} is for OCI images, whose program it says something of`);
}

/** Undefined where it is as usual. */
export function processFrom(
  { stdin, tty, stopSignal, stopGrace }: ProcessOptions,
  image: { stopSignal: string; program: string },
  { rows, columns }: { rows?: number; columns?: number } = process.stdout,
): VmProcess | undefined {
  const grace = stopGrace ?? USUAL_PROCESS.stopGraceMs;
  if (grace > STOP_GRACE_MS_MAX) throw new InputError(`--stop-grace is at most ${STOP_GRACE_MS_MAX / 1_000}s`);
  const sideOf = (side: number | undefined, unsized: number): number => Math.min(side || unsized, WINDOW_SIDE_MAX);
  const held: VmProcess = {
    stdin,
    terminal: tty ? { rows: sideOf(rows, UNSIZED.rows), columns: sideOf(columns, UNSIZED.columns) } : null,
    stopSignal: stopSignalOf(stopSignal, image.stopSignal, image.program),
    stopGraceMs: grace,
  };
  const isUsual = !stdin && !tty && held.stopSignal === USUAL_PROCESS.stopSignal && grace === USUAL_PROCESS.stopGraceMs;
  return isUsual ? undefined : held;
}
