/** `xeno logs`: what a job has written, from its server or from the copy that lies sealed with the broker. */
import { holdsCapacity } from "@xenoservers/market";
import { shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { LogsInput } from "../input/verbs/lease.ts";
import { follow, shownHere } from "../output/follow.ts";
import { UserError } from "../output/ui.ts";
import { attach } from "./attach.ts";
import { showRaw } from "../output/terminal.ts";

/** Without a byte or a word of the server. */
const ANSWER_WAIT_MS = 60_000;

export async function logs({ lease: id, follow: keep }: LogsInput): Promise<void> {
  if (keep) return attach({ lease: id, out: null, stdin: false });
  const { client } = await openClient("read");
  const shown = Promise.withResolvers<"shown" | "silent">();
  let cancel = (): void => {};
  const listen = (): void => {
    cancel();
    cancel = client.timers.after(ANSWER_WAIT_MS, () => shown.resolve("silent"));
  };
  const { lease, session, close } = await follow(client, id, {
    ...shownHere,
    onOutput(stream, bytes) {
      listen();
      return showRaw(stream, bytes);
    },
    onShown: () => shown.resolve("shown"),
  });
  listen();
  try {
    if (holdsCapacity(lease.state)) {
      // it may end meanwhile: who only looks at what is there so far does not take its result
      const ended = session.delivered().catch(() => null);
      if ((await Promise.race([shown.promise, ended])) === "silent")
        throw new UserError(`the server of ${shortId(lease.id)} does not answer now; try again later`);
    } else if ((await session.delivered()) === null)
      throw new UserError(`the output of ${shortId(lease.id)} cannot be had: its server keeps it no more and nothing lies with the broker`);
  } finally {
    cancel();
    close();
  }
}
