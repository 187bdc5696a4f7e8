/** `xeno logs`: what a job has written, from its server or from the copy that lies sealed with the broker. */
import { holdsCapacity } from "@xenoservers/market";
import { openClient } from "../input/home.ts";
import type { LogsInput } from "../input/verbs/lease.ts";
import { follow, shownHere } from "../output/follow.ts";
import { UserError, shortId } from "../output/ui.ts";
import { attach } from "./attach.ts";

const LOOK_AGAIN_MS = 50;
/** Without a byte or a word of the server. */
const ANSWER_WAIT_MS = 60_000;

export async function logs({ lease: id, follow: keep }: LogsInput): Promise<void> {
  if (keep) return attach({ lease: id, out: null });
  const { client } = await openClient("read");
  const now = () => client.timers.now();
  let heardAt = now();
  let isShown = false;
  const { lease, session, close } = await follow(client, id, {
    ...shownHere,
    onOutput(stream, bytes) {
      heardAt = now();
      process[stream].write(bytes);
    },
    onShown: () => void (isShown = true),
  });
  let over = false;
  const delivered = session.delivered().finally(() => (over = true));
  delivered.catch(() => {}); // who only looks at what is there so far does not take a result
  try {
    if (holdsCapacity(lease.state)) {
      while (!over && !isShown && now() - heardAt < ANSWER_WAIT_MS) await client.sleep(LOOK_AGAIN_MS);
      if (!over && !isShown) throw new UserError(`the server of ${shortId(lease.id)} does not answer now; try again later`);
    } else if ((await delivered) === null)
      throw new UserError(`the output of ${shortId(lease.id)} cannot be had: its server keeps it no more and nothing lies with the broker`);
  } finally {
    close();
  }
}
