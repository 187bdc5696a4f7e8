/** A toolstack that keeps state and runs no domain: for tests of what this program does with what `xl` says. */
import { readFile, writeFile } from "node:fs/promises";
import type { SendState, SentState } from "./live-save.ts";
import { savedState } from "./save-stream.fixture.ts";
import type { RestoreFrom } from "./stream-restore.ts";
import { SaveStream } from "./save-stream.ts";
import { SHUTDOWN_REASONS, type ShutdownReason } from "./listing.ts";

interface Made {
  id: number;
  name: string;
  uuid: string;
  paused: boolean;
  /** How often it was paused more than resumed: it goes on at none. */
  pauses: number;
  shutdown: ShutdownReason | null;
  config: string;
}

const HEADING =
  "Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label";

/** For disks that nothing reads or writes here. */
export const RATES = { iopsMax: 1, bytesPerSecondMax: 1 };

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 16_384) yield bytes.subarray(at, at + 16_384);
}

export class Toolstack {
  readonly domains: Made[] = [];
  /** What each call was, in order. */
  readonly calls: string[] = [];
  /** What domains were made of that go on. */
  readonly restored: string[] = [];
  /** Of each domain's console. */
  tty: string | null = null;
  /** The process that emulates each domain's hardware. */
  deviceModel: number | null = null;
  /** Why a configuration makes no domain; null: it does. */
  refuses: (config: string) => string | null = () => null;
  /** Called for each domain that was made. */
  whenMade: (made: Made) => Promise<void> = async () => {};
  #last: number;

  /** `last`: the number before that of its first domain; another where tests beside these wire cards, which are this host's own. */
  constructor(last = 0) {
    this.#last = last;
  }

  add(name: string, uuid: string): Made {
    const made: Made = { id: ++this.#last, name, uuid, paused: true, pauses: 1, shutdown: null, config: "" };
    this.domains.push(made);
    return made;
  }

  /** Its kernel tells the hypervisor. */
  end(name: string, reason: ShutdownReason): void {
    this.domains.find((each) => each.name === name)!.shutdown = reason;
  }

  /** In place of running the program. */
  readonly run = async (program: string, args: readonly string[]): Promise<string> => {
    const [command = "", ...rest] = args;
    this.calls.push([program, ...args].join(" "));
    if (program === "xenstore-read") return this.#read(command);
    if (program === "xentop") throw new Error("not here");
    if (command === "list") return this.#listed();
    if (command === "create") return this.#create(await readFile(rest.at(-1)!, "utf8"));
    if (command === "restore") return this.#restore(rest[2]!, rest[3]!);
    if (program === "xenstore-write" || program === "xenstore-chmod") return "";
    const at = this.domains.findIndex(({ id }) => String(id) === rest.at(-1));
    const domain = this.domains[at];
    if (!domain) throw Object.assign(new Error("failed"), { stderr: `${rest.at(-1)} is an invalid domain identifier (rc=-6)\n` });
    if (command === "destroy") this.domains.splice(at, 1);
    if (command === "pause" || command === "unpause") this.#count(domain, command === "pause" ? 1 : -1);
    if (command === "shutdown") domain.shutdown = "poweroff";
    if (command === "reboot") domain.shutdown = "reboot";
    return "";
  };

  /** Why a domain is not saved; null: it is. */
  unsaved: string | null = null;
  /** Called while a domain is saved, its kernel suspended. */
  whileSaving: () => Promise<void> = async () => {};

  /** In place of running it apart from the daemon. */
  readonly apart = async (program: string, args: readonly string[]): Promise<void> => {
    this.calls.push([program, ...args].join(" "));
    const [, , , , id, file] = args;
    const domain = this.domains.find((each) => String(each.id) === id)!;
    domain.shutdown = "suspend";
    await this.whileSaving();
    if (this.unsaved !== null) throw Object.assign(new Error("failed"), { stderr: this.unsaved });
    await writeFile(file!, `state of ${domain.name}`);
    Object.assign(domain, { shutdown: null, paused: true, pauses: 1 });
  };

  #count(domain: Made, more: 1 | -1): void {
    domain.pauses = Math.max(0, domain.pauses + more);
    domain.paused = domain.pauses > 0;
  }

  /** What is sent of a domain's state while it runs. */
  sent: Uint8Array = new Uint8Array(0);

  /** In place of xl's sending it. */
  readonly #live: SendState = async (id, name): Promise<SentState> => {
    this.calls.push(`xl migrate ${id} ${name}`);
    const domain = this.domains.find((each) => each.id === id)!;
    return {
      stream: inParts(this.sent),
      end: async () => {
        domain.shutdown = null;
        return this.unsaved ?? "";
      },
    };
  };

  /** In place of xl's saving it into a pipe. */
  readonly #still: SendState = async (id, name): Promise<SentState> => {
    this.calls.push(`xl save -p ${id} ${name}`);
    const domain = this.domains.find((each) => each.id === id)!;
    domain.shutdown = "suspend";
    await this.whileSaving();
    return {
      stream: inParts(this.unsaved === null ? savedState([Buffer.from(`state of ${domain.name}`)]) : new Uint8Array(0)),
      end: async () => {
        if (domain.shutdown === "suspend") Object.assign(domain, { shutdown: null, paused: true, pauses: 1 });
        return this.unsaved ?? "";
      },
    };
  };

  /** In place of xl's making a domain of what comes, which it lists from the first of it on. */
  readonly #from: RestoreFrom = async ({ config, state, signal }) => {
    this.calls.push("xl restore from a stream");
    const text = await readFile(config, "utf8");
    const parts: Uint8Array[] = [];
    for await (const bytes of state) {
      if (parts.length === 0) await this.#create(text);
      parts.push(bytes);
      signal?.throwIfAborted();
    }
    const read = new SaveStream();
    for (const bytes of parts) read.add(bytes);
    if (!read.isOver) throw new Error("libxl: error: the stream was cut short");
    this.restored.push(Buffer.concat(parts).toString());
  };

  readonly streams = { live: this.#live, still: this.#still, restore: this.#from };

  async #restore(config: string, state: string): Promise<string> {
    this.restored.push(await readFile(state, "utf8"));
    return this.#create(await readFile(config, "utf8"));
  }

  #read(file: string): string {
    if (/^\/local\/domain\/\d+\/image\/device-model-pid$/.test(file) && this.deviceModel !== null) return `${this.deviceModel}\n`;
    if (this.tty === null || !/^\/local\/domain\/\d+\/(?:console|serial\/0)\/tty$/.test(file)) throw new Error("couldn't read path");
    return `${this.tty}\n`;
  }

  async #create(config: string): Promise<string> {
    const value = (key: string): string => new RegExp(`^${key}="(.*)"$`, "m").exec(config)?.[1] ?? "";
    const why = this.refuses(config);
    if (why !== null) throw Object.assign(new Error("failed"), { stderr: `${why}\n` });
    const made = this.add(value("name"), value("uuid"));
    made.config = config;
    await this.whenMade(made);
    return "";
  }

  #listed(): string {
    const lines = this.domains.map(({ id, name, uuid, paused, shutdown }) => {
      const state = `--${paused ? "p" : "-"}${shutdown === null ? "-" : "s"}--`;
      const reason = shutdown === null ? "-" : SHUTDOWN_REASONS.indexOf(shutdown).toString(16);
      return `${name.padEnd(40)} ${id}   128     1     ${state}       4.4 ${uuid}        ${reason}                -`;
    });
    return `${[HEADING, "Domain-0   0  1024  1  r-----  61.3 00000000-0000-0000-0000-000000000000  -  -", ...lines].join("\n")}\n`;
  }
}
