/**
 * Xen's own toolstack as this program calls it: `xl`, and xenstore; each call bounded in time and output, in memory where it reads what a
 * customer gave. What makes a domain, ends one or has it stand still is ended with the daemon (setpriv's parent-death signal), so that no
 * command of an earlier daemon makes a domain that nobody knows. Who controls the inputs: this program, every argument; the customer, the
 * kernel that `xl create` reads.
 */
import { readFile } from "node:fs/promises";
import type { ReadyShells } from "../programs/ready-shells.ts";
import { run, start } from "../programs/start.ts";
import { isRecord } from "../json.ts";
import { firstLineOf } from "../thrown.ts";
import { offerNodes, parseOffer, type ConsoleOffer, type DomainConsole } from "./domain-consoles.ts";
import { openLive, type SendState, type SentState } from "./live-save.ts";
import { openStill } from "./still-save.ts";
import { restoreFrom, type RestoreFrom } from "./stream-restore.ts";
import { complaintIn } from "./xl-words.ts";
import { parseInfo, type XenInfo } from "./xen-info.ts";
import { parseListing, type ListedDomain } from "./listing.ts";
import { parseUsage, type DomainUsage } from "./usage.ts";
import { askStore, type AskStore } from "./xen-store.ts";

const MIB = 1024 * 1024;
const ANSWER_BYTES_MAX = 4 * MIB;
/** Toolstacks wait for each other, and an emulated host is slow. */
const ANSWER_MS = 120_000;
const CREATE_MS = 600_000;
const RESTORE_MS = 30 * 60_000;
const ASKS = { mayOutlive: true } as const;
/** Of its own memory, beside what a kernel unpacks to: libxc reads it with the rights of dom0's root. */
const BUILDER_MIB = 512;

/** Xen's own, of xenconsoled; and an emulated serial line, of QEMU. */
export type ConsoleLine = "console" | "serial/0";

interface Bounds {
  timeoutMs?: number;
  /** Absent where it reads nothing of a customer's: a bound is a program more to begin. */
  dataMibMax?: number;
  /** Whoever comes after this daemon may see it done: it asks, or lets go on what was to begin. To be ended is a program more, too. */
  mayOutlive?: boolean;
  /** A domain stands still for it, or its customer waits: a shell that is ready becomes it, where there is one. */
  isAwaited?: boolean;
  signal?: AbortSignal;
}

/** A command of the toolstack's failed. */
export class XlError extends Error {
  override name = "XlError";
}

/** What the toolstack's programs find set. */
export const TOOLSTACK_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

export type Run = (program: string, args: readonly string[], bounds: Bounds & Required<Pick<Bounds, "timeoutMs">>) => Promise<string>;

/** What a program prints. Throws what it says first where it fails. */
export const runHere: Run = async (program, args, { timeoutMs, dataMibMax, mayOutlive = false, signal }) => {
  const ended = mayOutlive ? [] : ["setpriv", "--pdeathsig", "KILL"];
  const bound = dataMibMax === undefined ? [] : ["prlimit", `--data=${dataMibMax * MIB}`];
  const [first, ...words] = [...ended, ...bound, program, ...args] as [string, ...string[]];
  const { stdout } = await run(first, words, {
    ...{ timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: ANSWER_BYTES_MAX, cwd: "/" },
    env: TOOLSTACK_ENV,
    ...(signal ? { signal } : {}),
  });
  return stdout;
};

/** The same, where what is waited for is begun by shells that were begun before; all else as before. */
export const runBy =
  (shells: Pick<ReadyShells, "run">): Run =>
  async (program, args, bounds) => {
    const { timeoutMs, dataMibMax, isAwaited = false, signal } = bounds;
    const bound = dataMibMax === undefined ? {} : { dataBytesMax: dataMibMax * MIB };
    const given = { timeoutMs, maxBuffer: ANSWER_BYTES_MAX, ...bound, ...(signal ? { signal } : {}) };
    const going = isAwaited ? shells.run([program, ...args], given) : null;
    return going ? (await going).stdout : runHere(program, args, bounds);
  };

type RunApart = (program: string, args: readonly string[], log: string) => Promise<void>;

/** What libxl says beside what went wrong: of disks that QEMU is told of by us, that it is told of none. */
const IS_REMARK = /^(?:libxl: (?:debug|info|notice|warning):|Disk will be available via PV drivers)/;

function complaintOf(cause: unknown): string {
  const said = isRecord(cause) && typeof cause["stderr"] === "string" ? cause["stderr"].split("\n") : [];
  return said.find((line) => line.trim() !== "" && !IS_REMARK.test(line)) ?? firstLineOf(cause);
}

/** Outlives the daemon; what it says goes into a file. Throws the first of that where it fails. */
const runApart: RunApart = async (program, args, log) => {
  const said = { file: log, flags: "w", mode: 0o600 };
  const { exited } = await start(program, args, { detached: true, stdio: ["ignore", said, said], cwd: "/", env: TOOLSTACK_ENV });
  const { code, signal } = await exited;
  if (code === 0) return;
  const how = `it ended with ${signal ?? code}`;
  throw Object.assign(new Error("failed"), { stderr: complaintIn(await readFile(log, "utf8")) || how });
};

/** States on their way, in no file. */
interface StateStreams {
  /** Of a domain that runs meanwhile. */
  live: SendState;
  /** Of one whose kernel suspends itself first. */
  still: SendState;
  restore: RestoreFrom;
}

const STREAMS: StateStreams = { live: openLive, still: openStill, restore: restoreFrom };

export class Xl {
  readonly #run: Run;
  readonly #apart: RunApart;
  readonly #streams: StateStreams;
  readonly #store: AskStore;

  /** All are for tests. */
  constructor(run: Run = runHere, apart: RunApart = runApart, streams: StateStreams = STREAMS, store: AskStore = askStore) {
    this.#store = store;
    this.#run = run;
    this.#apart = apart;
    this.#streams = streams;
  }

  async #ask(program: string, args: readonly string[], { signal, ...bounds }: Bounds = {}): Promise<string> {
    const given = { timeoutMs: ANSWER_MS, ...bounds, ...(signal ? { signal } : {}) };
    try {
      return await this.#run(program, args, given);
    } catch (cause) {
      if (signal?.aborted === true) throw cause;
      throw new XlError(`${program} ${args[0] ?? ""}: ${complaintOf(cause).slice(0, 300)}`, { cause });
    }
  }

  async info(): Promise<XenInfo> {
    return parseInfo(await this.#ask("xl", ["info"], ASKS));
  }

  async list(): Promise<ListedDomain[]> {
    return parseListing(await this.#ask("xl", ["list", "-v"], ASKS));
  }

  /**
   * The number of the domain that was made last with this UUID; null where there is none. Xenstore says it sooner than xl does, which looks
   * at all of each domain.
   */
  async numberOf(uuid: string): Promise<number | null> {
    // where xenstore has no socket, or lists no more domains than fit one answer, xl is asked
    const inStore = await this.#numberInStore(uuid).catch(() => null);
    return inStore ?? (await this.list()).find((each) => each.uuid === uuid && !each.dying)?.id ?? null;
  }

  async #numberInStore(uuid: string): Promise<number | null> {
    const [names] = await this.#store([{ what: "list", node: "/local/domain" }]);
    const ids = (names ?? "").split("\0").filter((name) => /^[1-9]\d{0,9}$/.test(name));
    const vms = await this.#store(ids.map((id) => ({ what: "read", node: `/local/domain/${id}/vm` })));
    const found = ids.filter((_, place) => vms[place] === `/vm/${uuid}`).map(Number);
    return found.length === 0 ? null : Math.max(...found);
  }

  async usage(): Promise<DomainUsage[]> {
    return parseUsage(await this.#ask("xentop", ["-b", "-f", "-i", "1"], ASKS));
  }

  /** Made, and paused before its first instruction. No process of xl's stays behind: what ends is read from the list. */
  async create(config: string, { kernelMib, signal }: { kernelMib: number; signal?: AbortSignal | undefined }): Promise<void> {
    const bounds = { timeoutMs: CREATE_MS, dataMibMax: BUILDER_MIB + kernelMib, isAwaited: true };
    await this.#ask("xl", ["create", "-e", "-p", "-q", config], { ...bounds, ...(signal ? { signal } : {}) });
  }

  /**
   * Made of what was saved, and paused before it goes on. The configuration says what is another in it: name, UUID, disk.
   */
  async restore(config: string, state: string, signal?: AbortSignal): Promise<void> {
    await this.#ask("xl", ["restore", "-p", "-e", config, state], {
      timeoutMs: RESTORE_MS,
      dataMibMax: BUILDER_MIB,
      ...(signal ? { signal } : {}),
    });
  }

  /**
   * Its state in a file, which the kernel bounds. The domain is left paused. This outlives the daemon, and has no bound in time: killed
   * half-way it would leave a domain that is suspended for good, and libxl itself gives its kernel a minute to suspend.
   */
  async save(id: number, file: string, { log, fileMibMax }: { log: string; fileMibMax: number }): Promise<void> {
    const words = [`--fsize=${fileMibMax * MIB}`, "xl", "save", "-p", String(id), file];
    await this.#apart("prlimit", words, log).catch((cause: unknown) => {
      throw new XlError(`xl save: ${firstLineOf(cause).slice(0, 300)}`, { cause });
    });
  }

  /** Its state, of a domain that runs on; where it is not paused before that is let go of, it goes on. */
  live(id: number, name: string, log: string): Promise<SentState> {
    return this.#streams.live(id, name, log);
  }

  /** Its state, of a domain that is left paused. Neither has a bound in time, as `save`. */
  still(id: number, name: string, log: string): Promise<SentState> {
    return this.#streams.still(id, name, log);
  }

  /** As `restore`, of a state as it comes. `log`: the file for what xl says. */
  async restoreFrom(config: string, state: AsyncIterable<Uint8Array>, { log, signal }: { log: string; signal?: AbortSignal | undefined }) {
    await this.#streams.restore({ config, state, log, dataMibMax: BUILDER_MIB, signal }).catch((cause: unknown) => {
      if (signal?.aborted === true) throw cause;
      throw new XlError(`xl restore: ${firstLineOf(cause).slice(0, 300)}`, { cause });
    });
  }

  /** In xenstore, one after the other. */
  async write(nodes: readonly (readonly [node: string, value: string])[]): Promise<void> {
    const written = await this.#store(nodes.map(([node, value]) => ({ what: "write", node, value }))).catch(() => [null]);
    // where xenstore has no socket, or refuses something, the command is asked, which says why
    if (written.includes(null)) await this.#ask("xenstore-write", nodes.flat());
  }

  /** What stands in a node of dom0's; nothing where there is none. */
  async #node(node: string): Promise<string> {
    const [said] = await this.#store([{ what: "read", node }]).catch(async () => [
      await this.#ask("xenstore-read", [node], ASKS).catch(() => ""),
    ]);
    return (said ?? "").trim();
  }

  /** Whose nodes of xenstore are, with all below them. */
  async own([node, ...modes]: readonly [node: string, ...modes: string[]]): Promise<void> {
    await this.#ask("xenstore-chmod", ["-r", node, ...modes]);
  }

  /** What the domain's kernel offers for one of its consoles; null where it offers nothing (yet). */
  async consoleOffer(id: number, of: DomainConsole): Promise<ConsoleOffer | null> {
    return parseOffer(await this.#ask("xenstore-read", offerNodes(id, of), ASKS).catch(() => ""));
  }

  /** What the domain's kernel finds in xenstore under `vm-data/` and that name, and cannot change. */
  async tell(id: number, name: string, value: string): Promise<void> {
    await this.write([[`/local/domain/${id}/vm-data/${name}`, value]]);
  }

  /** Of a domain that is there, by its number. */
  async pause(id: number): Promise<void> {
    await this.#ask("xl", ["pause", String(id)], { isAwaited: true });
  }

  async unpause(id: number): Promise<void> {
    await this.#ask("xl", ["unpause", String(id)], { mayOutlive: true, isAwaited: true });
  }

  /** Asks the domain's kernel to power down, by the button of an emulated machine where it knows nothing of Xen; it may not listen. */
  async askToEnd(id: number): Promise<void> {
    await this.#ask("xl", ["shutdown", "-F", String(id)]);
  }

  async askToRestart(id: number): Promise<void> {
    await this.#ask("xl", ["reboot", "-F", String(id)]);
  }

  async destroy(id: number): Promise<void> {
    await this.#ask("xl", ["destroy", String(id)]);
  }

  /** The pseudo-terminal of one of the domain's lines; only dom0 can have written its name. Null until there is one. */
  async console(id: number, line: ConsoleLine = "console"): Promise<string | null> {
    const tty = await this.#node(`/local/domain/${id}/${line}/tty`);
    return /^\/dev\/pts\/\d{1,9}$/.test(tty) ? tty : null;
  }

  /** The process that emulates the domain's hardware, as libxl started it; null where it says of none. */
  async deviceModel(id: number): Promise<number | null> {
    const pid = await this.#node(`/local/domain/${id}/image/device-model-pid`);
    return /^[1-9]\d{0,8}$/.test(pid) ? Number(pid) : null;
  }
}
