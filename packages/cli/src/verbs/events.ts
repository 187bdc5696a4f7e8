/** `xeno events`: what happened to the party's leases, durably and in order. */
import type { EventView } from "@xenoservers/protocol";
import { openClient } from "../input/home.ts";
import type { EventsInput } from "../input/verbs/lease.ts";
import { print, printJson } from "../output/terminal.ts";
import { shortId, when } from "../output/ui.ts";

const PAGE = 200;
const POLL_MS = 500;

function show(event: EventView, json: boolean): void {
  if (json) return printJson(event);
  print(`${event.cursor}  ${when(event.at)}  ${event.kind}  ${event.lease ? shortId(event.lease) : ""}  ${JSON.stringify(event.data)}`);
}

export async function events({ follow: keep, after, json }: EventsInput): Promise<void> {
  const { client } = await openClient("read");
  for (let cursor = after; ;) {
    const page = await client.read("events", { query: { limit: PAGE, ...(cursor === null ? {} : { after: cursor }) } });
    for (const event of page.events) show(event, json);
    cursor = page.events.at(-1)?.cursor ?? cursor;
    if (page.events.length === PAGE) continue;
    if (!keep) return;
    await client.sleep(POLL_MS);
  }
}
