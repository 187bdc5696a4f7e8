/**
 * What stands in for a booted machine: it does what its seed's user-data asks, line by line (`print TEXT`, `file PATH TEXT`, `sleep MS`,
 * `exit CODE`, `crash`, `no-drivers`, `say-unheard TEXT`), says it on its console, and leaves an archive on its result disk. It prints once
 * somebody has its console open, as a system that takes longer to boot than a console to connect.
 */
import { PassThrough, type Duplex, duplexPair } from "node:stream";
import { tarOf } from "./archive.ts";

export interface DomainEnd {
  kind: "halted" | "crashed";
  /** What it left on its third disk; null: nothing. */
  archive: Buffer | null;
}

export class Domain {
  readonly #script: string[];
  readonly #end: (end: DomainEnd) => void;
  readonly #consoles = new Set<Duplex>();
  readonly #files = new Map<string, string>();
  #heard: PromiseWithResolvers<void> = Promise.withResolvers();
  #paused: PromiseWithResolvers<void> | null = null;
  #over = false;
  #exit: string | null = null;
  #sleepingMs = 0;
  /** Whether its system has Xen's drivers: without them it suspends and moves nowhere. */
  readonly hasDrivers: boolean;
  /** What was typed on its console. */
  readonly typed = new PassThrough();

  constructor(script: string, hasConsole: boolean, end: (end: DomainEnd) => void) {
    this.#script = script.split("\n").filter(Boolean);
    this.#end = end;
    this.hasDrivers = !this.#script.includes("no-drivers");
    if (!hasConsole) this.#heard.resolve();
    void this.#run();
  }

  /** One viewer of its text console. What was said before is gone. */
  open(): Duplex {
    const [own, theirs] = duplexPair();
    this.#consoles.add(own);
    own.on("data", (bytes: Buffer) => this.typed.write(bytes));
    own.once("close", () => this.#consoles.delete(own)).on("error", () => {});
    this.#heard.resolve();
    return theirs;
  }

  /** Its consoles are elsewhere now. */
  cutOff(): void {
    for (const console of this.#consoles) console.end();
  }

  #say(text: string): void {
    for (const console of this.#consoles) console.write(text);
  }

  async #sleep(ms: number): Promise<void> {
    const slice = 10;
    for (this.#sleepingMs = ms; this.#sleepingMs > 0 && !this.#over; this.#sleepingMs -= slice) {
      await this.#paused?.promise;
      await new Promise((resolve) => setTimeout(resolve, Math.min(slice, this.#sleepingMs)));
    }
  }

  async #run(): Promise<void> {
    for (const line of this.#script) {
      const [word = "", ...rest] = line.split(" ");
      if (word !== "say-unheard") await this.#heard.promise;
      await this.#paused?.promise;
      if (this.#over) return;
      if (word === "print" || word === "say-unheard") this.#say(rest.join(" "));
      else if (word === "file") this.#files.set(rest[0] ?? "", rest.slice(1).join(" "));
      else if (word === "sleep") await this.#sleep(Number(rest[0]));
      else if (word === "exit") this.#exit = rest[0] ?? "0";
      else if (word === "crash") return this.end("crashed");
    }
    this.end("halted");
  }

  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  unpause(): void {
    this.#paused?.resolve();
    this.#paused = null;
  }

  end(kind: DomainEnd["kind"] | "destroyed"): void {
    if (this.#over) return;
    this.#over = true;
    this.unpause();
    for (const console of this.#consoles) console.end();
    const files = this.#exit === null ? this.#files : new Map([...this.#files, ["exit", this.#exit]]);
    if (kind !== "destroyed") this.#end({ kind, archive: files.size === 0 ? null : tarOf(files) });
  }
}
