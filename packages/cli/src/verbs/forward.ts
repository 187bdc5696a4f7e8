/** `xeno forward`: a port of this machine, or stdin and stdout, that lead to one of the guest's. */
import { Duplex } from "node:stream";
import { forwardPort, parseCount, shortId } from "@xenoservers/sdk";
import type { ForwardInput } from "../input/verbs/machine.ts";
import { untilTold } from "../local/until-told.ts";
import { hold, type Held } from "../machine/hold.ts";
import { leaseOver } from "../machine/lease-over.ts";
import { say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

const PORT_MAX = 65_535;
/** Any port that is free, as kubectl and docker have it. */
const FREE = ["", "0"];

export function portsIn(text: string): { local: number | "stdio"; guest: number } {
  const [local, guest, ...more] = text.split(":");
  if (local === undefined || guest === undefined || more.length > 0)
    throw new UserError(`'${text}' must be LOCAL:GUEST, such as 2222:22, or 0:22 for any port that is free here`);
  const here = local === "stdio" ? local : FREE.includes(local) ? 0 : parseCount(local, "port", PORT_MAX);
  return { local: here, guest: parseCount(guest, "port", PORT_MAX) };
}

export async function forward({ lease, ports }: ForwardInput): Promise<void> {
  const { local, guest } = portsIn(ports);
  const held = await hold(lease, null);
  try {
    await (local === "stdio" ? joinStdio(held, guest) : listen(held, local, guest));
  } finally {
    held.close();
  }
}

async function joinStdio({ session }: Held, guest: number): Promise<void> {
  const stream = Duplex.from({ readable: process.stdin, writable: process.stdout });
  const closed = new Promise<void>((resolve, reject) => {
    stream.once("close", resolve);
    stream.on("error", (error) => reject(new UserError(error.message)));
  });
  stream.once("finish", () => stream.destroy()); // the guest has said all: whoever types is not waited for
  await session.machine.open(guest, stream);
  await closed;
}

async function listen(held: Held, local: number, guest: number): Promise<void> {
  const { session, bound } = held;
  const { port, close } = await forwardPort(session.machine, guest, local, (why) => say(why));
  say(`127.0.0.1:${port} leads to port ${guest} of ${shortId(bound.po.id)}; end with Ctrl-C`);
  const over = await Promise.race([leaseOver(held), untilTold().then(() => null)]);
  close();
  if (over !== null) say(over);
}
