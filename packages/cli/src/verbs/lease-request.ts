/** `xeno lease pause`, `resume`, `reboot`, `snapshot`: the buttons of a machine. */
import { dateText } from "@xenoservers/protocol";
import { takeSnapshot } from "@xenoservers/sdk";
import type { LeaseInput } from "../input/verbs/lease.ts";
import { hold, type Held } from "../machine/hold.ts";
import { print, printJson, say } from "../output/terminal.ts";

type Button = "pause" | "resume" | "reboot";

const DONE: Record<Button, string> = {
  pause: "it stands still, stays reserved and is paid for; go on with: xeno lease resume",
  resume: "it goes on",
  reboot: "it starts again",
};

async function holding(id: string, act: (held: Held) => Promise<void>): Promise<void> {
  const held = await hold(id, null);
  try {
    await act(held);
  } finally {
    held.close();
  }
}

export function leaseRequest({ lease, json }: LeaseInput, what: Button): Promise<void> {
  return holding(lease, async ({ session, bound }) => {
    await session.machine.ask(what);
    if (json) printJson({ lease: bound.po.id, done: what });
    else print(DONE[what]);
  });
}

export function leaseSnapshot({ lease, json }: LeaseInput): Promise<void> {
  return holding(lease, async (held) => {
    const { snapshot, until } = await takeSnapshot(held);
    if (json) return printJson({ lease: held.bound.po.id, snapshot, until });
    print(snapshot);
    say(`its memory and disk are kept on the server until ${dateText(until).slice(0, 16)}Z`);
  });
}
