/** `xeno abuse trace`: from a complaint to a lease, by the owner's own records of what its guests connected to. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
import { shortId } from "@xenoservers/sdk";
import type { AbuseTraceInput } from "../input/verbs/owner.ts";
import { assertLinux } from "../local/right-system.ts";
import { serverFolder } from "../local/server-folder.ts";
import { print, printJson, say, yellow } from "../output/terminal.ts";
import { UserError, countOf, table, when } from "../output/ui.ts";

/** Clocks of those who complain differ. */
const SLACK_MS = 60_000;

export function addressIn(text: string): { address: string; port: number | null } {
  const [, address, port] = /^\[?([0-9a-f.:]+?)\]?(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (address === undefined) throw new UserError(`'${text}' is no address; write 203.0.113.7 or 203.0.113.7:443`);
  return { address, port: port === undefined ? null : Number(port) };
}

export async function abuseTrace({ address: typed, at, fromPort, data, json }: AbuseTraceInput): Promise<void> {
  assertLinux("abuse trace");
  const { address, port } = addressIn(typed);
  const folder = serverFolder(data);
  const { readEgressLog, readIdentity } = await import("@xenoservers/xenoserver");
  // no connection of a machine that is another one, or none, says nothing of the one that is meant
  if (!(await ifThere(stat(path.join(folder, "vm")))) && (await readIdentity(folder)) === null)
    throw new UserError(`no xenoserver keeps its data in ${folder}: name its folder with --data`);
  let unreadable = 0;
  const found = [];
  for await (const each of readEgressLog(path.join(folder, "vm"), () => unreadable++)) {
    const isIt =
      each.address === address &&
      (port === null || each.port === port) &&
      (at === null || (each.at - SLACK_MS <= at && at <= each.endedAt + SLACK_MS)) &&
      (fromPort === null || each.from === fromPort);
    if (isIt) found.push(each);
  }
  if (unreadable > 0) say(yellow(`${countOf(unreadable, "line")} of this machine's record cannot be read`));
  if (json) return printJson({ connections: found });
  if (found.length === 0) return print("no guest of this machine connected there then");
  table(
    ["from", "until", "lease", "to", "name", "own port", "bytes"],
    found.map((each) => [
      ...[when(each.at), when(each.endedAt), shortId(each.lease), `${each.address}:${each.port}`],
      ...[each.name ?? "", String(each.from), String(each.bytes)],
    ]),
  );
  say("who stood behind a lease: its purchase order in this machine's folder names the customer's party; tell the operator of the market");
}
