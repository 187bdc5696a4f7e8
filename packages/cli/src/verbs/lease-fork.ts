/** `xeno lease fork`: so many leases that go on from where a machine is. */
import { RefusedError, forkMachine, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { ForkInput } from "../input/verbs/machine.ts";
import { hold } from "../machine/hold.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";

export async function leaseFork({ lease, count, maxTime, budget, json }: ForkInput): Promise<void> {
  await openClient("spend");
  const held = await hold(lease, null);
  const leases: string[] = [];
  const onFork = (id: string): void => {
    leases.push(id);
    if (!json) print(id);
  };
  try {
    const snapshot = await forkMachine(held, { count, maxTime, budget, onFork });
    if (json) printJson({ snapshot, leases });
    else say("each goes on by itself; see them with: xeno ps");
  } catch (error) {
    if (leases.length === 0 || !(error instanceof RefusedError)) throw error;
    const running = `${countOf(leases.length, "fork")} of ${count} run (${leases.map(shortId).join(", ")})`;
    throw new UserError(`${running}; then: ${error.refusal.code}`);
  } finally {
    held.close();
  }
}
