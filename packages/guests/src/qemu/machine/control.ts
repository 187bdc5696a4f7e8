/** What a customer can do with a running machine beside its output: type on its console, reach its ports and its agent, pause, reboot. */
import type { Socket } from "node:net";
import { GuestAgent } from "./agent.ts";
import { AgentCopies } from "./agent-copies.ts";
import { ConnectionTable } from "../network/connection-table.ts";
import { guestConnection, soonToldAll, type CutReason, type GuestConnection } from "../network/guest-connection.ts";
import { NetNamespace } from "../network/namespace.ts";
import { StdinPort } from "../oci/stdin-port.ts";
import { SHELL_PORTS, VM_FILES, shellDevice, shellPortName, shellSocket } from "./plan.ts";
import { QmpError, connectSocket } from "./qmp.ts";
import { ShellPorts } from "./shell-ports.ts";
import { Viewers } from "./viewers.ts";
import { boxPath, type Vm } from "./vm.ts";

/** Ports of the namespace's loopback that lead to the guest's. */
const FORWARD_FROM = 20_000;
const PORTS = Array.from({ length: SHELL_PORTS }, (_, index) => index);
const INPUT_BYTES_MAX = 64 * 1024;
/** How often, and how long after one another, it is looked whether its network has told it of resets. */
const [TOLD_LOOKS_MAX, TOLD_EVERY_MS] = [50, 20];
/** What its connections are broken off for. */
const WHY_CUT: Readonly<Record<CutReason, string>> = {
  moves: "the machine is being moved to another server of its owner: connect again in a moment",
  "server-leaves": "the machine's server goes away, and the machine runs on: connect again when it is back",
};

/** Whoever has it hears why: a reset of one's own is no error of it, and looks like an end. */
function reset(connection: GuestConnection, reason: CutReason): void {
  connection.resetAndDestroy();
  connection.emit("error", new QmpError(WHY_CUT[reason]));
}

export class Control {
  readonly #vm: Vm;
  readonly agent: GuestAgent;
  readonly shell: ShellPorts;
  readonly #copies: AgentCopies;
  readonly namespace: NetNamespace;
  readonly connections: ConnectionTable;
  readonly #hasNetwork: boolean;
  readonly #viewers: Viewers | null;
  #console: Promise<Socket> | null = null;
  #stdin: Promise<StdinPort> | null = null;
  readonly #forwards = new Map<number, number>();
  /** Connections to its ports. */
  readonly #joined = new Set<GuestConnection>();
  #cutFor: CutReason | null = null;

  /** `wakeShell`: asks our own init, where that runs in it. */
  constructor(
    vm: Vm,
    { hasNetwork, hasScreen, wakeShell }: { hasNetwork: boolean; hasScreen: boolean; wakeShell: (() => Promise<void>) | null },
  ) {
    this.#vm = vm;
    this.#hasNetwork = hasNetwork;
    this.#viewers = hasScreen ? new Viewers(boxPath(vm.folder, VM_FILES.screen)) : null;
    this.agent = new GuestAgent(() => connectSocket(boxPath(vm.folder, VM_FILES.agent)));
    this.shell = new ShellPorts({
      start: wakeShell ? { by: "init", wake: wakeShell } : { by: "agent", agent: this.agent, names: PORTS.map(shellPortName) },
      keepsOpen: true,
      connect: async (index) => (await connectSocket(boxPath(vm.folder, shellSocket(index)))).pause(),
    });
    this.#copies = new AgentCopies(this.agent, () => this.shell.bare());
    vm.onPortClosed((device) => this.shell.closed(PORTS.map(shellDevice).indexOf(device)));
    this.namespace = new NetNamespace(vm.handle.id.pid);
    this.connections = new ConnectionTable(vm.handle.id.pid);
  }

  /** A request to the agent, or one in its way that this program answers itself. */
  async ask(command: string, args: Record<string, unknown>): Promise<unknown> {
    const own = this.#copies.command(command);
    return own ? own(args) : this.agent.ask(command, args);
  }

  async input(bytes: Uint8Array): Promise<void> {
    const socket = await (this.#console ??= this.#openConsole());
    if (socket.writableLength > INPUT_BYTES_MAX) throw new QmpError("the guest does not read its console");
    socket.write(bytes);
  }

  /** Output is read from the log; what comes here is thrown away. */
  async #openConsole(): Promise<Socket> {
    const socket = await connectSocket(boxPath(this.#vm.folder, VM_FILES.console));
    socket.resume();
    socket.once("close", () => (this.#console = null));
    return socket;
  }

  /** What the program of an image reads. One side alone may feed it. */
  stdin(changed: (taken: number) => void): Promise<StdinPort> {
    return (this.#stdin ??= connectSocket(boxPath(this.#vm.folder, VM_FILES.stdin)).then((socket) => new StdinPort(socket, changed)));
  }

  /** A connection to a port of the guest. Throws QmpError where the machine has no network card. */
  async open(port: number): Promise<Socket> {
    if (!this.#hasNetwork) throw new QmpError("this machine was ordered without a network card: run it with --network, --ssh or --egress");
    if (this.#cutFor !== null) throw new QmpError(WHY_CUT[this.#cutFor]);
    const from = this.#forwards.get(port) ?? (await this.#forward(port));
    const socket = await this.namespace.connect(from);
    socket.on("error", () => {}); // for whoever has it
    if (this.#cutFor !== null) {
      socket.resetAndDestroy();
      throw new QmpError(WHY_CUT[this.#cutFor]);
    }
    const connection = guestConnection(socket, this.connections);
    this.#joined.add(connection);
    socket.once("close", () => this.#joined.delete(connection));
    return connection;
  }

  /** It goes on elsewhere, or without this program: connections to its ports are broken off, and none begin, until `joinAgain`. */
  async cut(reason: CutReason): Promise<void> {
    this.#cutFor = reason;
    const joined = [...this.#joined];
    await soonToldAll(
      joined.map((each) => each.breakOff().then(() => reset(each, reason))),
      reason,
    );
    for (const each of joined) if (!each.destroyed) reset(each, reason);
  }

  get hasConnections(): boolean {
    return this.#joined.size > 0;
  }

  joinAgain(): void {
    this.#cutFor = null;
  }

  /** Its own network has told it of all that was reset, or has nothing to tell; a guest that does not listen is not waited for long. */
  async isTold(): Promise<void> {
    for (let looks = 0; this.#hasNetwork && looks < TOLD_LOOKS_MAX; looks++) {
      const said = await this.#vm.qmp("human-monitor-command", { "command-line": "info usernet" });
      if (typeof said !== "string" || !/^\s*TCP\[(?!HOST_FORWARD)/m.test(said)) return;
      await new Promise((resolve) => setTimeout(resolve, TOLD_EVERY_MS));
    }
  }

  /** One viewer's connection to its screen. Throws QmpError where it has none, or many look at it. */
  async screen(): Promise<Socket> {
    if (!this.#viewers) throw new QmpError("this machine was ordered without a screen: run it with --screen");
    return this.#viewers.open();
  }

  async #forward(port: number): Promise<number> {
    const from = FORWARD_FROM + port;
    const said = await this.#vm.qmp("human-monitor-command", {
      "command-line": `hostfwd_add net tcp:127.0.0.1:${from % 65_536}-:${port}`,
    });
    if (typeof said !== "string") throw new QmpError("QEMU's monitor does not answer in words");
    if (said.trim() !== "" && !/already|could not set up/i.test(said)) throw new QmpError(said.trim().slice(0, 200));
    this.#forwards.set(port, from % 65_536);
    return from % 65_536;
  }

  /** Its hardware clock has whole seconds: its time of day is told as soon as its agent answers. */
  async reboot(): Promise<void> {
    await this.#vm.qmp("system_reset");
    void this.agent.tellTime(); // nobody waits for it
  }

  async close(): Promise<void> {
    this.#copies.close();
    this.agent.close();
    this.shell.close();
    (await this.#stdin?.catch(() => null))?.close();
    (await this.#console?.catch(() => null))?.destroy();
    await this.namespace.close();
  }
}
