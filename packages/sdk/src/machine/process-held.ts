/** How an image's program is held: its input, its terminal, how it is asked to end; as container engines read the same words. */
import { STOP_GRACE_MS_MAX, USUAL_PROCESS, WINDOW_SIDE_MAX, type VmProcess } from "@xenoservers/protocol";
import * as z from "zod/mini";
import { InputError } from "../errors.ts";

/** The first and the last real-time signal that programs may use (signal(7), glibc). */
const [RTMIN, RTMAX] = [34, 64];
/** systemd halts at this one (systemd(1), SIGRTMIN+3). */
const HALT = RTMIN + 3;
/** Of Linux, which guests run, whatever the system of this side calls by these names (signal(7); x86). */
const SIGNALS: Readonly<Record<string, number>> = {
  ...{
    HUP: 1,
    INT: 2,
    QUIT: 3,
    ILL: 4,
    TRAP: 5,
    ABRT: 6,
    IOT: 6,
    BUS: 7,
    FPE: 8,
    KILL: 9,
    USR1: 10,
    SEGV: 11,
    USR2: 12,
    PIPE: 13,
    ALRM: 14,
  },
  ...{ TERM: 15, STKFLT: 16, CHLD: 17, CLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26 },
  ...{ PROF: 27, WINCH: 28, IO: 29, POLL: 29, PWR: 30, SYS: 31 },
};
const SYSTEMD = ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"];
const UNSIZED = { rows: 24, columns: 80 };

/** Null where it is none. */
export function signalIn(text: string): number | null {
  const [, name, shift] = /^(?:SIG)?([A-Z0-9]+?)(?:([+-]\d{1,2}))?$/.exec(text.toUpperCase()) ?? [];
  if (name === undefined) return null;
  const base = /^\d+$/.test(name) ? Number(name) : name === "RTMIN" ? RTMIN : name === "RTMAX" ? RTMAX : SIGNALS[name];
  if (base === undefined || (shift !== undefined && !name.startsWith("RTM"))) return null;
  const signal = base + Number(shift ?? 0);
  return signal >= 1 && signal <= RTMAX && (shift === undefined || signal >= RTMIN) ? signal : null;
}

function stopSignalOf(asked: string | undefined, ofImage: string, program: string): number {
  const text = asked ?? ofImage;
  if (text === "") return SYSTEMD.includes(program) || /(^|\/)systemd\/*$/.test(program) ? HALT : USUAL_PROCESS.stopSignal;
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
  { rows, columns }: { rows?: number; columns?: number } = {},
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
