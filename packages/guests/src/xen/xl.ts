/**
 * Xen's own toolstack as this program calls it: `xl`, and what reads xenstore; each call bounded in time, output and memory, and ended with
 * the daemon (setpriv's parent-death signal), so that no command of an earlier daemon makes a domain that nobody knows. Who controls the
 * inputs: this program, every argument; the customer, the kernel that `xl create` reads.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { firstLineOf } from "../thrown.ts";
import { parseInfo, type XenInfo } from "./xen-info.ts";
import { parseListing, type ListedDomain } from "./listing.ts";
import { parseUsage, type DomainUsage } from "./usage.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const ANSWER_BYTES_MAX = 4 * MIB;
/** Toolstacks wait for each other, and an emulated host is slow. */
const ANSWER_MS = 120_000;
const CREATE_MS = 600_000;
/** Of its own memory, beside what a kernel unpacks to: libxc reads it with the rights of dom0's root. */
const BUILDER_MIB = 512;

interface Bounds {
  timeoutMs?: number;
  dataMibMax?: number;
  signal?: AbortSignal;
}

/** A command of the toolstack's failed. */
export class XlError extends Error {
  override name = "XlError";
}

type Run = (program: string, args: readonly string[], bounds: Required<Omit<Bounds, "signal">> & Pick<Bounds, "signal">) => Promise<string>;

/** What a program prints. Throws what it says first where it fails. */
const runHere: Run = async (program, args, { timeoutMs, dataMibMax, signal }) => {
  const words = ["--pdeathsig", "KILL", "prlimit", `--data=${dataMibMax * MIB}`, program, ...args];
  const { stdout } = await run("setpriv", words, {
    ...{ timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: ANSWER_BYTES_MAX, cwd: "/" },
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    ...(signal ? { signal } : {}),
  });
  return stdout;
};

export class Xl {
  readonly #run: Run;

  /** `run`: for tests. */
  constructor(run: Run = runHere) {
    this.#run = run;
  }

  async #ask(program: string, args: readonly string[], { signal, ...bounds }: Bounds = {}): Promise<string> {
    const given = { timeoutMs: ANSWER_MS, dataMibMax: BUILDER_MIB, ...bounds, ...(signal ? { signal } : {}) };
    try {
      return await this.#run(program, args, given);
    } catch (cause) {
      if (signal?.aborted === true) throw cause;
      throw new XlError(`${program} ${args[0] ?? ""}: ${firstLineOf(cause).slice(0, 300)}`, { cause });
    }
  }

  async info(): Promise<XenInfo> {
    return parseInfo(await this.#ask("xl", ["info"]));
  }

  async list(): Promise<ListedDomain[]> {
    return parseListing(await this.#ask("xl", ["list", "-v"]));
  }

  async usage(): Promise<DomainUsage[]> {
    return parseUsage(await this.#ask("xentop", ["-b", "-f", "-i", "1"]));
  }

  /** Made, and paused before its first instruction. No process of xl's stays behind: what ends is read from the list. */
  async create(config: string, { kernelMib, signal }: { kernelMib: number; signal?: AbortSignal | undefined }): Promise<void> {
    const bounds = { timeoutMs: CREATE_MS, dataMibMax: BUILDER_MIB + kernelMib };
    await this.#ask("xl", ["create", "-e", "-p", "-q", config], { ...bounds, ...(signal ? { signal } : {}) });
  }

  /** Of a domain that is there, by its number. */
  async pause(id: number): Promise<void> {
    await this.#ask("xl", ["pause", String(id)]);
  }

  async unpause(id: number): Promise<void> {
    await this.#ask("xl", ["unpause", String(id)]);
  }

  /** Asks the domain's kernel to power down; it may not listen. */
  async askToEnd(id: number): Promise<void> {
    await this.#ask("xl", ["shutdown", String(id)]);
  }

  async askToRestart(id: number): Promise<void> {
    await this.#ask("xl", ["reboot", String(id)]);
  }

  async destroy(id: number): Promise<void> {
    await this.#ask("xl", ["destroy", String(id)]);
  }

  /** The pseudo-terminal that xenconsoled has opened for the domain; only dom0 can have written its name. Null until there is one. */
  async console(id: number): Promise<string | null> {
    const tty = await this.#ask("xenstore-read", [`/local/domain/${id}/console/tty`]).catch(() => "");
    return /^\/dev\/pts\/\d{1,9}$/.test(tty.trim()) ? tty.trim() : null;
  }
}
