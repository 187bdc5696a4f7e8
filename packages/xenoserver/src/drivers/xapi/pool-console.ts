/**
 * A machine's text console, written down as long as it runs, and its screen. XAPI gives a console only of a machine that runs, and keeps
 * nothing: what was said while nobody was connected is lost. So the text is what a console shows, and never the only copy of a result
 * (pool-result.ts). Who controls the inputs: the guest (every byte), the pool (where a console is).
 */
import { appendFile, open, stat } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { setTimeout } from "node:timers/promises";
import type { Pool } from "./pool.ts";

const AGAIN_MS = 500;
const DRAIN_MS = 5_000;
const READ_BYTES_MAX = 256 * 1024;

type Protocol = "vt100" | "rfb";

/** Where the machine's console of that kind is now; null where it has none, or does not run. */
function placeOf({ mirror }: Pool, vm: string, protocol: Protocol): { ref: string; address: string } | null {
  const machine = mirror.of("vm").get(vm);
  if (machine?.power_state !== "Running") return null;
  for (const ref of machine.consoles) {
    const console = mirror.of("console").get(ref);
    if (console?.protocol !== protocol || !URL.canParse(console.location)) continue;
    return { ref, address: new URL(console.location).hostname };
  }
  return null;
}

/** Throws in words for the customer. */
export async function openConsole(pool: Pool, vm: string, protocol: Protocol): Promise<Duplex> {
  const place = placeOf(pool, vm, protocol);
  if (!place) throw new Error("the machine has no such console, or does not run now");
  return pool.session.tunnel(place.address, `/console?ref=${encodeURIComponent(place.ref)}`);
}

interface ConsoleEvents {
  changed(): void;
  /** It has said more than the lease's output may be. */
  full(): void;
}

export class ConsoleText {
  readonly #pool: Pool;
  readonly #vm: string;
  readonly #file: string;
  readonly #bytesMax: number;
  readonly #events: ConsoleEvents;
  readonly #stop = new AbortController();
  #socket: Duplex | null = null;
  /** Until the console that is open has ended. */
  #taken: Promise<void> = Promise.resolve();
  #bytes = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(of: { pool: Pool; vm: string; file: string; bytesMax: number }, events: ConsoleEvents) {
    ({ pool: this.#pool, vm: this.#vm, file: this.#file, bytesMax: this.#bytesMax } = of);
    this.#events = events;
  }

  async follow(): Promise<void> {
    await appendFile(this.#file, "", { mode: 0o600 });
    this.#bytes = (await stat(this.#file)).size;
    this.#loop = this.#follow();
  }

  get #isOver(): boolean {
    return this.#stop.signal.aborted || this.#bytes >= this.#bytesMax;
  }

  async #follow(): Promise<void> {
    const { mirror, wait } = this.#pool;
    while (!this.#isOver) {
      // a machine that moves, or stands still, has its console again afterwards
      const place = await mirror.until(() => placeOf(this.#pool, this.#vm, "vt100"), this.#stop.signal).catch(() => null);
      if (!place) return;
      try {
        this.#taken = this.#take(await openConsole(this.#pool, this.#vm, "vt100"));
        await this.#taken;
      } catch {
        // its machine ends, or moves: the mirror says which
      }
      if (!this.#isOver) await wait(AGAIN_MS);
    }
  }

  async #take(socket: Duplex): Promise<void> {
    this.#socket = socket;
    if (this.#stop.signal.aborted) socket.destroy();
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        const bytes = chunk.subarray(0, this.#bytesMax - this.#bytes);
        await appendFile(this.#file, bytes);
        this.#bytes += bytes.length;
        this.#events.changed();
        if (this.#bytes >= this.#bytesMax) return this.#events.full();
      }
    } finally {
      socket.destroy();
      this.#socket = null;
    }
  }

  /** Typed on it. */
  async write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (!socket) throw new Error("the machine has no text console, or it is not connected now");
    await new Promise<void>((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));
  }

  /** What was written down stays. `drained`: what the console has said already is taken first, for as long as a pool may take to end it. */
  async close(drained: boolean): Promise<void> {
    const { signal } = this.#stop;
    if (drained && this.#socket) await Promise.race([this.#taken.catch(() => {}), setTimeout(DRAIN_MS, null, { ref: false })]);
    if (!signal.aborted) this.#stop.abort();
    this.#socket?.destroy();
    await this.#loop;
  }
}

export async function readFrom(file: string, offset: number, length = READ_BYTES_MAX): Promise<Uint8Array> {
  const handle = await open(file, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (!handle) return new Uint8Array(0);
  try {
    const bytes = Buffer.alloc(Math.min(length, READ_BYTES_MAX));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
