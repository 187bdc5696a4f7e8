/** Waits until a machine's SSH server says its name. Who controls the inputs: the guest (its first bytes), the server (refusals). */
import { Duplex } from "node:stream";
import { holdsCapacity } from "@xenoservers/market";
import { shortId } from "@xenoservers/sdk";
import { say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import type { Held } from "./hold.ts";

const BANNER = "SSH-";
const TRY_MS = 10_000;
const EVERY_MS = 500;
/** What waiting does not change. */
const NEVER = /network card|customer paused/;

/** What a connection says first; empty where it closed or kept silent, the reason where it was refused. */
function firstWords({ session, client }: Pick<Held, "session" | "client">, port: number): Promise<string | Error> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write(bytes: Uint8Array, _, done) {
        resolve(Buffer.from(bytes).toString("latin1"));
        done();
        wire.destroy();
      },
      final(done) {
        done();
        wire.destroy();
      },
    });
    wire.on("error", resolve).once("close", () => resolve(""));
    void client.sleep(TRY_MS).then(() => wire.destroy());
    session.machine.open(port, wire).catch(resolve);
  });
}

/** Throws UserError where the machine has no network card, or its lease ends meanwhile. */
export async function sshReady(held: Held, port: number): Promise<void> {
  const { client, bound } = held;
  for (let tries = 0; ; tries++) {
    const said = await firstWords(held, port);
    if (typeof said === "string" && said.startsWith(BANNER)) return;
    if (said instanceof Error && NEVER.test(said.message)) throw new UserError(said.message);
    const lease = await client.read("lease", { params: { id: bound.po.id } });
    if (!holdsCapacity(lease.state)) throw new UserError(`lease ${shortId(lease.id)} has ended`);
    if (tries === 0) say("waiting for the machine's SSH server (Ctrl-C ends the waiting, not the machine)");
    await client.sleep(EVERY_MS);
  }
}
