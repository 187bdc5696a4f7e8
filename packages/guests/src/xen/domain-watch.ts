/**
 * Looks at the list of domains whenever xenstore says that one has ended, and now and then besides. One look serves all who follow a
 * domain. Who controls the inputs: the toolstack; how often domains end, customers.
 */
import type { Program } from "../programs/program.ts";
import { start } from "../programs/start.ts";
import type { ListedDomain } from "./listing.ts";
import type { Xl } from "./xl.ts";

/** Where xenstore tells nothing: its daemon was restarted, or what listens to it was killed. */
const LOOK_MS = 10_000;
/** Domains that end in a row are looked at together. */
const APART_MS = 200;

type Look = (domain: ListedDomain | null) => void;

export class DomainWatch {
  readonly #xl: Pick<Xl, "list">;
  readonly #followed = new Map<string, Look>();
  readonly #failed: (why: string) => void;
  /** Null in it: it could not be begun. */
  #listener: Promise<Program | null> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #again = false;
  #closed = false;

  constructor(xl: Pick<Xl, "list">, failed: (why: string) => void) {
    this.#xl = xl;
    this.#failed = failed;
  }

  /** Calls with the domain of that UUID at each look, null where it is gone, until the answer is called. */
  follow(uuid: string, look: Look): () => void {
    this.#followed.set(uuid, look);
    // programs are begun once whoever waits for the domain has been told that it runs
    setImmediate(() => this.#begin(uuid, look));
    this.#timer ??= setInterval(() => {
      this.#listen();
      this.look();
    }, LOOK_MS);
    return () => {
      if (this.#followed.get(uuid) === look) this.#followed.delete(uuid);
      if (this.#followed.size === 0) this.#rest();
    };
  }

  #begin(uuid: string, look: Look): void {
    if (this.#followed.get(uuid) !== look) return;
    this.#listen();
    this.look();
  }

  look(): void {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = this.#once().finally(() => {
      this.#looking = null;
      if (!this.#again || this.#followed.size === 0) return;
      this.#again = false;
      setTimeout(() => this.look(), APART_MS);
    });
  }

  async #once(): Promise<void> {
    const asked = [...this.#followed];
    if (asked.length === 0) return;
    try {
      const domains = new Map((await this.#xl.list()).map((domain) => [domain.uuid, domain]));
      for (const [uuid, look] of asked) if (this.#followed.get(uuid) === look) look(domains.get(uuid) ?? null);
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error)); // nobody ends for a toolstack that does not answer
    }
  }

  #listen(): void {
    if (this.#listener || this.#closed) return;
    const words = ["--pdeathsig", "KILL", "xenstore-watch", "@releaseDomain"];
    const listener = start("setpriv", words, { stdio: ["ignore", "pipe", "ignore"], cwd: "/" }).catch(() => null);
    this.#listener = listener;
    void listener.then(async (program) => {
      program?.stdio[1]?.on("data", () => this.look());
      await program?.exited;
      if (this.#listener === listener) this.#listener = null;
    });
  }

  #rest(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    void this.#listener?.then((program) => program?.kill("SIGKILL"));
    this.#listener = null;
  }

  close(): void {
    this.#closed = true;
    this.#followed.clear();
    this.#rest();
  }
}
