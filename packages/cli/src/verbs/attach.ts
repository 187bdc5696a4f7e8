/** `xeno attach`: follows a lease to its end, wherever its output is by then: at its server, or sealed with the broker. */
import { assertPlaceFor, keepReceipt, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AttachInput } from "../input/verbs/lease.ts";
import { joinedHere } from "../machine/joined.ts";
import { exitCodeWith, taking } from "../output/deliver.ts";
import { follow, shownHere } from "../output/follow.ts";
import { endLine } from "../output/lease-lines.ts";
import { say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

export async function attach({ lease: id, out, stdin }: AttachInput): Promise<void> {
  if (out !== null) await assertPlaceFor(out);
  const { client, context } = await openClient("read");
  const joined = joinedHere(false);
  const { session, close } = await follow(client, id, {
    ...shownHere,
    onResult: taking(out, []),
    onInput(isTerminal) {
      if (stdin && isTerminal) joined.followSize(session.machine);
      return joined.input({ stdin, terminal: isTerminal || null });
    },
  });
  const left = Promise.race([new Promise<null>((resolve) => process.once("SIGINT", () => resolve(null))), joined.left.then(() => null)]);
  try {
    const ended = await Promise.race([Promise.all([session.settled(), session.delivered()]), session.failed, left]);
    if (ended === null) return say(`it runs on; follow it with: xeno attach ${shortId(session.lease)}`);
    if (ended instanceof Error) throw ended.name === "BrokenPurchaseOrder" ? ended : new UserError(ended.message);
    const [lease, delivered] = ended;
    say(endLine(lease, context.currency));
    await keepReceipt(client, lease.id, 0);
    process.exitCode = exitCodeWith(lease, delivered !== null);
    if (lease.end?.result && !delivered)
      say(`its output cannot be had any more, or is not what the server signed: xeno dispute ${shortId(lease.id)}`);
  } finally {
    close();
    joined.close();
  }
}
