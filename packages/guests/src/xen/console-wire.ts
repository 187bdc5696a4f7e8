/**
 * A process of dom0's at the other end of one of a domain's consoles (ring.pl): it ends with whoever holds what this gives. Who controls
 * the inputs: the guest, what it offers and every byte that comes.
 */
import path from "node:path";
import type { Duplex } from "node:stream";
import { start } from "../programs/start.ts";
import type { ConsoleOffer } from "./domain-consoles.ts";

const RING = path.join(import.meta.dirname, "ring.pl");
/** Of its own memory. */
const DATA_MIB = 64;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** The command, whose descriptor 3 is the wire. */
export type WireCommand = (domain: number, offer: ConsoleOffer) => readonly [program: string, ...args: string[]];

export const ringCommand: WireCommand = (domain, { grant, port }) => [
  ...(["setpriv", "--pdeathsig", "KILL", "prlimit", `--data=${DATA_MIB * 1024 * 1024}`] as const),
  ...["perl", RING, String(domain), String(grant), String(port)],
];

/** Paused. */
export async function openWire([program, ...args]: readonly [string, ...string[]]): Promise<Duplex> {
  const ring = await start(program, args, { stdio: ["ignore", "ignore", "ignore", "pipe"], cwd: "/", env: { PATH } });
  const wire = ring.stdio[3];
  if (!wire) throw new Error("a console's other end was started without a wire");
  wire.on("error", () => {}); // its close says enough
  wire.once("close", () => ring.kill("SIGKILL"));
  void ring.exited.then(() => wire.destroy());
  return wire.pause();
}
