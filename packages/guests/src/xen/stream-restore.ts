/**
 * A domain that is made of a state as that comes, paused; where the state is cut short, or nobody wants the domain any more, xl makes none.
 * Who controls the inputs: the other host (the state, and when it comes).
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { start } from "../programs/start.ts";
import { complaintIn } from "./xl-words.ts";

const MIB = 1024 * 1024;
/** Once all of the state has come. */
const MADE_MS = 30 * 60_000;

/**
 * xl opens what it reads by name, as it can no socket of this program's. It ends with the shell, which ends with the daemon; the shell
 * waits for xl alone, which may end before all of the state is there.
 */
const XL = 'exec setpriv --pdeathsig KILL prlimit --data="$1" xl restore -p -e "$2" /proc/self/fd/0';
const LINE = `{ cat <&3 & } 3<&0 | ${XL}`;

interface RestoredFrom {
  /** The configuration, which says what is another in it. */
  config: string;
  state: AsyncIterable<Uint8Array>;
  /** The file for what xl says. */
  log: string;
  dataMibMax: number;
  /** Aborted where nobody wants it any more. */
  signal?: AbortSignal | undefined;
}

/** Throws, in xl's words, where it makes none; something of it may be there then. */
export type RestoreFrom = (of: RestoredFrom) => Promise<void>;

/** Resolves once they are taken; false where nobody takes any more. */
const written = (to: Writable, bytes: Uint8Array): Promise<boolean> =>
  new Promise((resolve) => to.write(bytes, (error) => resolve(!error)));

/** Of xl's: false where it took not all of it. */
async function sentTo(to: Writable, state: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const bytes of state) if (!(await written(to, bytes))) return false;
  return true;
}

export const restoreFrom: RestoreFrom = async ({ config, state, log, dataMibMax, signal }) => {
  const said = { file: log, flags: "w", mode: 0o600 };
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const words = ["--pdeathsig", "KILL", "sh", "-c", LINE, "sh", String(dataMibMax * MIB), config];
  // a group of its own: what works for xl ends with it
  const program = await start("setpriv", words, { detached: true, stdio: ["pipe", said, said], cwd: "/", env });
  const ended = program.exited.then(({ code, signal: by }) => (code === 0 ? null : `it ended with ${by ?? code}`));
  const kill = (): void => program.kill("SIGKILL", true);
  const stdin = program.stdio[0] as Socket;
  stdin.on("error", () => {}); // xl has ended, and has said why
  signal?.addEventListener("abort", kill, { once: true });
  let late: NodeJS.Timeout | undefined;
  try {
    if (signal?.aborted === true) kill();
    const sent = sentTo(stdin, state);
    sent.catch(() => {}); // where xl has ended first
    const failed = await Promise.race([sent.then(() => null), ended]);
    const isWhole = failed === null && (await sent);
    stdin.end();
    late = setTimeout(kill, MADE_MS);
    const why = await ended;
    if (why === null && isWhole) return;
    throw new Error(complaintIn(await readFile(log, "utf8")) || (why ?? "there is more behind the end of the domain's state"));
  } finally {
    clearTimeout(late);
    signal?.removeEventListener("abort", kill);
    kill();
    stdin.destroy();
    await ended;
  }
};
