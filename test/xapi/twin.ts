/**
 * A twin of XCP-ng's pool: XAPI's JSON-RPC, disks and consoles over HTTPS on loopback, one address for each host, over a database that it
 * keeps. It has a pool's bad days as tricks: sessions that run out, a master that moves in the midst of a call, events that are lost,
 * clones that are left half done, hosts that go. It shares no code with the driver.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { callsOf } from "./calls.ts";
import { selfSigned, type Certificate } from "./certificate.ts";
import type { Domain } from "./domain.ts";
import { Failure, Records, type Fields } from "./records.ts";
import { halted } from "./power.ts";
import type { World } from "./world.ts";

const GIB = 1024 ** 3;
const MEMORY_FREE = 8 * GIB;
const DISK_WORK = ["vdi_create", "vdi_clone", "vdi_resize", "vdi_destroy", "vdi_snapshot"];
export const USER = "xeno";
export const PASSWORD = "correct horse battery staple";

interface Host {
  ref: string;
  address: string;
  server: Server;
  certificate: Certificate;
}

type Trick = (method: string, params: readonly unknown[]) => "drop-before" | "drop-after" | null;

export class Twin {
  readonly db = new Records();
  readonly hosts: Host[] = [];
  readonly sr: string;
  readonly network: string;
  readonly world: World;
  /** Every call that came, without its session. */
  readonly calls: { host: string; method: string; params: readonly unknown[] }[] = [];
  /** Whether a call's connection is cut, before it is done or after. */
  trick: Trick = () => null;
  /** Where disks are to be sent; null: here. */
  redirectsTo: string | null = null;
  /** How many of the next disks that are sent here the storage fails to write, and how many that are fetched break off. */
  badImports = 0;
  badExports = 0;
  /** How many of the next log-ins are refused, though they are right: PAM begins anew. */
  badLogins = 0;
  /** What the pool says to a call in place of doing it. */
  refuses: (method: string) => Failure | null = () => null;
  /** Calls that the pool says are under way, and never ends. */
  stuck: (method: string) => boolean = () => false;
  /** Tasks that somebody removes as they end, as those do who tidy up. */
  tidied: (method: string) => boolean = () => false;
  readonly #sessions = new Set<string>();
  readonly #pool: string;
  readonly #sockets = new Set<Duplex>();
  readonly #call: ReturnType<typeof callsOf>;
  #over = Promise.withResolvers<void>();
  #master = 0;
  #closed = false;
  port = 0;

  private constructor() {
    this.sr = this.db.add("sr", { name_label: "xeno", physical_size: 100 * GIB, physical_utilisation: 0, allowed_operations: DISK_WORK });
    this.#pool = this.db.add("pool", { name_label: "pool", master: "OpaqueRef:NULL" });
    this.network = this.db.add("network", { name_label: "leases" });
    this.db.add("network", { name_label: "the pool's own" });
    const otherSr = this.db.add("sr", { name_label: "the pool's own", physical_size: 100 * GIB, physical_utilisation: 0 });
    this.world = {
      ...{ db: this.db, disks: new Map<string, Buffer>(), domains: new Map<string, Domain>(), brokenClone: null, otherSr },
      ...{ busy: new Set<string>(), full: new Set<string>() },
      addressOf: (host) => this.hosts.find(({ ref }) => ref === host)?.address ?? "",
    };
    this.#call = callsOf(this.world);
  }

  static async open(hosts = 2): Promise<Twin> {
    const twin = new Twin();
    for (let i = 0; i < hosts; i++) await twin.#addHost(`127.0.0.${i + 1}`);
    twin.db.set(twin.#pool, { master: twin.hosts[0]!.ref });
    return twin;
  }

  async #addHost(address: string): Promise<void> {
    const certificate = selfSigned(address);
    const server = createServer({ key: certificate.key, cert: certificate.cert });
    const metrics = this.db.add("host_metrics", { live: true, memory_total: 16 * GIB, memory_free: MEMORY_FREE });
    const about = { address, metrics, name_label: address, enabled: true, cpu_info: { cpu_count: "4" } };
    const config = { boot_time: "1767225600.", agent_start_time: "1767225660." };
    const ref = this.db.add("host", {
      ...about,
      software_version: { product_brand: "XCP-ng", product_version: "8.3.0" },
      other_config: config,
    });
    for (const SR of [this.sr, this.world.otherSr]) this.db.add("pbd", { host: ref, SR, currently_attached: true });
    const host = { ref, address, server, certificate };
    server.on("request", (request, response) => void this.#answer(host, request, response));
    server.on("connect", (request: IncomingMessage, socket: Duplex) => this.#console(host, request, socket));
    server.on("secureConnection", (socket) => {
      if (this.#closed) return void socket.destroy();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket)).on("error", () => {});
    });
    server.listen(this.port, address);
    await once(server, "listening");
    this.port = (server.address() as AddressInfo).port;
    this.hosts.push(host);
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get fingerprints(): string[] {
    return this.hosts.map(({ certificate }) => certificate.fingerprint);
  }

  get master(): Host {
    return this.hosts[this.#master]!;
  }

  // --- tricks ---------------------------------------------------------------------------------------------------------------------------

  /** As the pool's people ask for it, by another program. */
  byHand(method: string, ...params: readonly unknown[]): unknown {
    return this.#call(method, params);
  }

  expireSessions(): void {
    this.#sessions.clear();
  }

  /** Another host is the master from now on; what was under way is cut off, and tasks and tokens are of another database. */
  moveMaster(by = 1, cutsOff = true): void {
    this.#master = (this.#master + by) % this.hosts.length;
    this.#sessions.clear();
    for (const [task] of this.db.all("task")) this.db.remove(task);
    this.db.set(this.#pool, { master: this.master.ref });
    this.db.forget();
    if (cutsOff) for (const socket of this.#sockets) socket.destroy();
  }

  /** Nobody is there any more: connections are refused. */
  unplug(index: number): void {
    this.hosts[index]!.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The master hears them no more. */
  loseHost(...indexes: number[]): void {
    for (const index of indexes) this.#setMetrics(index, { live: false, memory_free: 0 });
  }

  /** It hears them again. */
  hearHost(...indexes: number[]): void {
    for (const index of indexes) this.#setMetrics(index, { live: true, memory_free: MEMORY_FREE });
  }

  /** It lost its power and is back: its toolstack says when it booted first, and then that its machines are halted. */
  rebootHost(index: number): void {
    this.fellOver(index)();
  }

  /** It has booted, and comes up: what it calls is when it says which machines it has lost. */
  fellOver(index: number): () => void {
    const host = this.hosts[index]!;
    const lost = this.db.all("vm").filter(([, vm]) => vm["resident_on"] === host.ref);
    for (const [vm] of lost) {
      this.world.domains.get(vm)?.end("destroyed");
      this.world.domains.delete(vm);
    }
    this.db.set(host.ref, { enabled: false });
    this.restartToolstack(index, 600);
    return () => {
      for (const [vm] of lost) halted(this.world, vm);
      this.db.set(host.ref, { enabled: true });
    };
  }

  /** Its toolstack begins anew and counts back when the host booted, by a clock that was set meanwhile. */
  restartToolstack(index: number, bySeconds = 0): void {
    const { ref } = this.hosts[index]!;
    const { boot_time: before, ...rest } = this.db.get(ref)["other_config"] as Record<string, string>;
    this.db.set(ref, { other_config: rest });
    this.db.set(ref, { other_config: { ...rest, boot_time: `${Number.parseFloat(before ?? "") + bySeconds}.` } });
  }

  #setMetrics(index: number, metrics: Record<string, unknown>): void {
    const { ref } = this.hosts[index]!;
    this.db.set(String(this.db.get(ref)["metrics"]), metrics);
  }

  domainOf(lease: string): Domain {
    const found = this.db.all("vm").find(([ref, vm]) => String(vm["name_label"]).endsWith(lease) && this.world.domains.has(ref));
    if (!found) throw new Error(`no machine of ${lease} runs`);
    return this.world.domains.get(found[0])!;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#over.resolve();
    for (const domain of this.world.domains.values()) domain.end("destroyed");
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.hosts.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  }

  // --- the wire -------------------------------------------------------------------------------------------------------------------------

  async #answer(host: Host, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "https://pool");
    try {
      if (url.pathname === "/jsonrpc") return await this.#rpc(host, request, response);
      if (!this.#sessions.has(url.searchParams.get("session_id") ?? "")) return void response.writeHead(401).end();
      if (this.redirectsTo !== null && host.address !== this.redirectsTo) {
        response.writeHead(302, { location: `https://${this.redirectsTo}${request.url}`, connection: "close" });
        return void response.end();
      }
      const vdi = url.searchParams.get("vdi") ?? "";
      const disk = this.world.disks.get(vdi);
      if (!disk) return void response.writeHead(404).end();
      if (url.pathname === "/export_raw_vdi") return void this.#export(vdi, disk, response);
      await this.#import(vdi, disk, request, response, url.searchParams.get("task_id") ?? "");
    } catch {
      response.destroy();
    }
  }

  /** Without a length: one that breaks off ends as one that is whole. */
  #export(vdi: string, disk: Buffer, response: ServerResponse): void {
    const isBad = this.badExports > 0;
    if (isBad) this.badExports--;
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { connection: "close" });
    response.end(isBad || this.world.busy.has(vdi) ? disk.subarray(0, disk.length / 2) : disk);
  }

  /** As XAPI: 200 before a byte is read, and what came of it in the task alone. */
  async #import(vdi: string, disk: Buffer, request: IncomingMessage, response: ServerResponse, task: string): Promise<void> {
    const { busy } = this.world;
    const said = (outcome: Fields): void => void (this.db.has(task) && this.db.set(task, outcome));
    const failed = (...info: string[]): void => said({ status: "failure", error_info: info });
    busy.add(vdi);
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { connection: "close" });
    response.flushHeaders();
    let at = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        if (this.badImports > 0) throw new Failure("VDI_IO_ERROR", "Device I/O errors");
        at += chunk.copy(disk, at);
      }
      if (at < Number(request.headers["content-length"])) throw new Failure("INTERNAL_ERROR", "End_of_file");
      this.db.set(vdi, { physical_utilisation: at });
      busy.delete(vdi);
      said({ status: "success", result: `<value>${vdi}</value>` });
    } catch (error) {
      this.badImports--;
      busy.delete(vdi);
      if (error instanceof Failure) failed(error.code, ...error.facts);
      else failed("INTERNAL_ERROR", "End_of_file");
      request.socket.destroy();
    }
    response.end();
  }

  async #rpc(host: Host, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method, params } = JSON.parse(Buffer.concat(chunks).toString()) as { method: string; params: unknown[] };
    if (method !== "event.from")
      this.calls.push({ host: host.address, method, params: params.slice(method.startsWith("session.") ? 0 : 1) });
    const cut = this.trick(method, params.slice(1));
    if (cut === "drop-before") return void request.socket.destroy();
    const answer = await this.#outcome(host, method, params);
    if (cut === "drop-after") return void request.socket.destroy();
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id: 1, ...answer }));
  }

  async #outcome(host: Host, method: string, params: unknown[]): Promise<Fields> {
    try {
      return { result: await this.#done(host, method, params) };
    } catch (error) {
      if (!(error instanceof Failure)) return { error: { code: 1, message: "INTERNAL_ERROR", data: [String(error)] } };
      return { error: { code: 1, message: error.code, data: error.facts } };
    }
  }

  async #done(host: Host, method: string, params: unknown[]): Promise<unknown> {
    if (host !== this.master) throw new Failure("HOST_IS_SLAVE", this.master.address);
    if (method === "session.login_with_password") return this.#login(params);
    const [session = "", ...rest] = params as string[];
    if (method === "session.logout") return this.#sessions.delete(session) ? "" : "";
    if (!this.#sessions.has(session)) throw new Failure("SESSION_INVALID", session);
    if (method === "event.from") return this.#events(rest as unknown as [string[], string, number]);
    const refusal = this.refuses(method);
    if (refusal) throw refusal;
    if (method === "task.create") return this.#newTask(String(rest[0]));
    if (method === "task.cancel") return this.db.set(rest[0] ?? "", { status: "cancelled" });
    if (method === "task.destroy") return void (this.db.has(String(rest[0])) && this.db.remove(String(rest[0])));
    if (method.startsWith("Async.")) return this.#task(method.slice("Async.".length), rest);
    return this.#call(method, rest);
  }

  #login([user, password]: unknown[]): string {
    const isRefused = this.badLogins > 0;
    if (isRefused) this.badLogins--;
    if (isRefused || user !== USER || password !== PASSWORD)
      throw new Failure("SESSION_AUTHENTICATION_FAILED", String(user), "Authentication failure");
    const session = `OpaqueRef:${randomUUID()}`;
    this.#sessions.add(session);
    return session;
  }

  async #events([classes, token, seconds]: [string[], string, number]): Promise<Fields> {
    // a whole number is no float to XAPI
    if (Number.isInteger(seconds)) throw new Failure("FIELD_TYPE_ERROR", "timeout");
    for (let found = this.db.since(token, classes); ; found = this.db.since(token, classes)) {
      if (token === "" || found.events.length > 0) return { ...found, valid_ref_counts: {} };
      let over = false;
      await this.db.changed(this.#over.promise.then(() => void (over = true)));
      if (over) throw new Failure("SESSION_INVALID", "");
    }
  }

  #newTask(name: string): string {
    return this.db.add("task", { status: "pending", result: "", error_info: [], name_label: name });
  }

  /** A task is there before it is done, and tells of its end by events alone. */
  #task(method: string, params: readonly unknown[]): string {
    const task = this.#newTask(method);
    setImmediate(() => {
      if (!this.db.has(task) || this.stuck(method)) return;
      try {
        const result = this.#call(method, params);
        if (this.tidied(method)) return this.db.remove(task);
        this.db.set(task, { status: "success", result: result === "" ? "" : `<value>${String(result)}</value>` });
      } catch (error) {
        const info = error instanceof Failure ? [error.code, ...error.facts] : ["INTERNAL_ERROR", String(error)];
        if (this.db.has(task)) this.db.set(task, { status: "failure", error_info: info });
      }
    });
    return task;
  }

  /** As XAPI: of a machine that runs on this very host, and of nothing else. */
  #console(host: Host, request: IncomingMessage, socket: Duplex): void {
    const url = new URL(request.url ?? "/", "https://pool");
    const ref = url.searchParams.get("ref") ?? "";
    const refused = (status: string): void => void socket.end(`HTTP/1.1 ${status}\r\n\r\n`);
    if (!this.#sessions.has(url.searchParams.get("session_id") ?? "")) return refused("401 Unauthorised");
    if (this.db.classOf(ref) !== "console") return refused("404 Not Found");
    const { VM: vm, protocol } = this.db.get(ref);
    const machine = this.db.get(String(vm));
    if (machine["power_state"] !== "Running" || machine["resident_on"] !== host.ref) return refused("404 Not Found");
    socket.on("error", () => {});
    socket.write("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\n");
    if (protocol === "rfb") return void socket.write("RFB 003.003\n");
    const domain = this.world.domains.get(String(vm))?.open();
    domain?.pipe(socket).pipe(domain);
  }
}
