/**
 * A machine's only way out. Inside its namespace every address is local: connections to the ports that the owner allows are accepted
 * here, judged by the address they were for, and joined to a connection from outside; names are answered here too. Bytes are counted and
 * bounded, mail is never let out, every connection is written down for its owner. Who controls the inputs: the guest (addresses, names,
 * bytes), the name servers' answers.
 */
import type { Socket as Datagrams } from "node:dgram";
import { connect, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import type { Egress } from "@xenoservers/protocol";
import type { AddressRule } from "./addresses.ts";
import type { ConnectionTable } from "./connection-table.ts";
import { directConnection, guestConnection, soonToldAll, type CutReason } from "./guest-connection.ts";
import { LookUps, type LookUpRoom } from "./look-ups.ts";
import type { NetNamespace } from "./namespace.ts";
import { Passage } from "./passage.ts";
import { answerQuestion, type Found } from "./questions.ts";

/** Never, whatever owner or order say: mail from strangers' guests ruins the owner's address. */
export const MAIL_PORTS: readonly number[] = [25, 465, 587, 2525];
const CONNECTIONS_MAX = 256;
/**
 * One after another, bytes or none: each is a line on the owner's disk, and a knock at somebody's door in the owner's name. As many as
 * may be open at a time come at once.
 */
const CONNECTIONS_PER_SECOND = 32;
/** How long a guest may use an address after it asked for its name. */
const NAME_KEPT_MS = 3_600_000;
const NAMES_MAX = 4_096;
const CONNECT_MS = 10_000;
/** Questions for names that are read, looked up and answered at a time; more are lost, as datagrams may be. */
const QUESTIONS_MAX = 256;

export interface Connection {
  at: number;
  lease: string;
  address: string;
  port: number;
  name: string | null;
  /** This machine's own port, by which the other side knows it. */
  from: number;
  bytes: number;
  endedAt: number;
}

interface GateOptions {
  lease: string;
  egress: Egress;
  ports: readonly number[];
  /** What it may send and receive in all. */
  bytesMax: number;
  /** Already used, before the daemon was restarted. */
  bytesUsed: number;
  bytesPerSecondMax: number;
  isPublic: AddressRule;
  record(connection: Connection): void;
  /** For look-ups of all gates together. */
  lookUps: LookUpRoom;
  /** Addresses of a name; this machine's name servers are asked when absent. */
  resolve?(name: string): Promise<string[]>;
  dial?(address: string, port: number): Socket;
  /** For tests: the time by which connections are counted, in ms. */
  now?(): number;
}

/** Whether a name is one of the order's; `*.example.org` stands for what is below. */
export function nameMatches(name: string, allowed: readonly string[]): boolean {
  return allowed.some((each) => (each.startsWith("*.") ? name.endsWith(each.slice(1)) && name.length > each.length - 1 : name === each));
}

export class Gate {
  readonly #options: GateOptions;
  #bytes: number;
  readonly #lookUps: LookUps;
  #questions = 0;
  readonly #names = new Map<string, { name: string; until: number }>();
  readonly #open = new Set<Passage>();
  readonly #serving = new Set<Promise<void>>();
  #isCut = false;
  #servers: Server[] = [];
  #datagrams: Datagrams | null = null;
  #allowance: number;
  #refilledAt = Date.now();
  /** Connections that it may still make now. */
  #connections = CONNECTIONS_MAX;
  #countedAt: number;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#countedAt = this.#now();
    this.#bytes = options.bytesUsed;
    this.#lookUps = new LookUps(options.lookUps, options.resolve);
    this.#allowance = options.bytesPerSecondMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `connections`: of the machine's network; null where the guest's own kernel is at the other end of them. */
  async start(namespace: Pick<NetNamespace, "listen" | "datagrams">, connections: ConnectionTable | null): Promise<void> {
    for (const port of this.#options.ports) {
      if (MAIL_PORTS.includes(port)) continue;
      const server = await namespace.listen(port);
      server.on("error", () => {}); // one connection less
      server.on("connection", (socket: Socket) => {
        const served = this.#connection(socket, connections).finally(() => this.#serving.delete(served));
        this.#serving.add(served);
      });
      this.#servers.push(server);
    }
    this.#datagrams = await namespace.datagrams(53);
    this.#datagrams.on("message", (bytes, from) => void this.#question(bytes, from));
    this.#datagrams.on("error", () => {});
  }

  /** Names for people's sake are answered only as far as the order allows; only addresses that a guest may reach are told. */
  async #question(bytes: Buffer, from: { address: string; port: number }): Promise<void> {
    if (this.#questions >= QUESTIONS_MAX) return;
    this.#questions += 1;
    try {
      const reply = await answerQuestion(bytes, async (name, wanted) => {
        if (!this.#nameAllowed(name)) return "refused";
        return wanted ? this.#addressesOf(name) : [];
      });
      const datagrams = this.#datagrams;
      if (reply && datagrams) await new Promise<void>((resolve) => datagrams.send(reply, from.port, from.address, () => resolve()));
    } catch {
      // the gate was shut meanwhile, or there is no such port: one answer less
    } finally {
      this.#questions -= 1;
    }
  }

  #nameAllowed(name: string): boolean {
    const { egress } = this.#options;
    return typeof egress === "string" ? egress === "public" : nameMatches(name, egress);
  }

  async #addressesOf(name: string): Promise<Found> {
    const found = await this.#lookUps.find(name);
    if (found === null) return "failed";
    const addresses = found.filter(this.#options.isPublic).slice(0, 8);
    for (const address of addresses) {
      const [oldest] = this.#names.keys();
      if (this.#names.size >= NAMES_MAX && oldest !== undefined) this.#names.delete(oldest);
      this.#names.set(address, { name, until: Date.now() + NAME_KEPT_MS });
    }
    return addresses;
  }

  async #connection(inside: Socket, connections: ConnectionTable | null): Promise<void> {
    const { egress, isPublic, bytesMax, record, lease } = this.#options;
    const address = inside.localAddress ?? "";
    const port = inside.localPort ?? 0;
    const known = this.#names.get(address);
    const name = known && known.until > Date.now() ? known.name : null;
    const allowed = isPublic(address) && (egress === "public" || name !== null);
    if (this.#isCut || !allowed || this.#bytes >= bytesMax || !this.#mayConnect() || !this.#hasPlace())
      return void inside.resetAndDestroy();
    const at = Date.now();
    const passed = { bytes: 0 };
    let from = 0;
    const outside = (this.#options.dial ?? ((host, to) => connect({ host, port: to, timeout: CONNECT_MS })))(address, port);
    const passage = new Passage(connections ? guestConnection(inside, connections) : directConnection(inside), outside);
    this.#open.add(passage);
    outside
      .once("timeout", () => outside.destroy())
      .once("connect", () => {
        outside.setTimeout(0);
        from = outside.localPort ?? 0;
        passage.join(() => this.#counted(passed));
      });
    await passage.closed;
    this.#open.delete(passage);
    record({ at, lease, address, port, name, from, bytes: passed.bytes, endedAt: Date.now() });
  }

  /** Of those that are spare the oldest makes room: one outside may never answer, and a guest may never take what one said who is gone. */
  #hasPlace(): boolean {
    if (this.#open.size < CONNECTIONS_MAX) return true;
    const spare = [...this.#open].find((each) => each.isSpare);
    if (!spare) return false;
    this.#open.delete(spare);
    spare.drop();
    return true;
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  #mayConnect(): boolean {
    const now = this.#now();
    this.#connections = Math.min(CONNECTIONS_MAX, this.#connections + ((now - this.#countedAt) * CONNECTIONS_PER_SECOND) / 1_000);
    this.#countedAt = now;
    if (this.#connections < 1) return false;
    this.#connections -= 1;
    return true;
  }

  /** Counts, slows down to the owner's bandwidth, and ends at the order's limit. */
  #counted(passed: { bytes: number }): Transform {
    return new Transform({
      transform: (chunk: Buffer, _, done) => {
        if (this.#bytes + chunk.length > this.#options.bytesMax) return done(new Error("the lease's egress is used up"));
        this.#bytes += chunk.length;
        passed.bytes += chunk.length;
        const wait = this.#waitFor(chunk.length);
        if (wait === 0) return done(null, chunk);
        setTimeout(() => done(null, chunk), wait);
      },
    });
  }

  #waitFor(bytes: number): number {
    const { bytesPerSecondMax } = this.#options;
    const now = Date.now();
    this.#allowance = Math.min(bytesPerSecondMax, this.#allowance + ((now - this.#refilledAt) * bytesPerSecondMax) / 1_000);
    this.#refilledAt = now;
    this.#allowance -= bytes;
    return this.#allowance >= 0 ? 0 : Math.ceil((-this.#allowance * 1_000) / bytesPerSecondMax);
  }

  /** The guest goes on elsewhere in a moment, or without this program: its connections are broken off, and none begin, until `letOut`. */
  async cut(reason: CutReason): Promise<void> {
    this.#isCut = true;
    const open = [...this.#open];
    await soonToldAll(
      open.map((each) => each.breakOff()),
      reason,
    );
    for (const each of open) each.drop();
  }

  get hasConnections(): boolean {
    return this.#open.size > 0;
  }

  letOut(): void {
    this.#isCut = false;
  }

  /**
   * Resolves when every connection has ended and was recorded. `goesOn`: its guest does, without this program, and is told that they were
   * broken off.
   */
  async close(goesOn = false): Promise<void> {
    for (const server of this.#servers) server.close();
    this.#servers = [];
    this.#datagrams?.close();
    this.#datagrams = null;
    this.#lookUps.close();
    if (goesOn) await this.cut("server-leaves");
    for (const each of this.#open) each.drop();
    await Promise.all(this.#serving);
  }
}
