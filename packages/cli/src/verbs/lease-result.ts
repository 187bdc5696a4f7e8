/**
 * `xeno lease result`, `xeno fetch`: what a lease came to, from its server or from the copy that lies sealed with the broker; every byte
 * is checked.
 */
import { TERMS, holdsCapacity } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import {
  type Chunk,
  type Delivered,
  Market,
  type MarketClient,
  type Stream,
  assertPlaceFor,
  filesIn,
  isAuditDue,
  shortId,
} from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { FetchInput, ResultInput } from "../input/verbs/lease.ts";
import { encodedStreams } from "../output/encoded.ts";
import { dueLine } from "../proof/audit-due.ts";
import { print, printJson, say, showRaw, yellow } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";

interface Got {
  lease: LeaseView;
  delivered: Delivered;
}

/** Who takes what it printed; from its beginning again where another server has begun anew. */
interface Printed {
  take(chunk: Chunk): void;
  restart(): void;
}

/** Throws UserError where there is none yet, or none any more. */
async function takeResult(client: MarketClient, id: string, out: string | null, printed: Printed): Promise<Got> {
  const market = Market.of(client);
  const lease = await market.lease(id);
  if (holdsCapacity(lease.state))
    throw new UserError(
      `lease ${shortId(lease.id)} is ${lease.state}: it has no result yet; follow it with: xeno attach ${shortId(lease.id)}`,
    );
  const problems: string[] = [];
  const job = await market.attach(lease.id, {
    ...(out === null ? { leaveFiles: true } : { out }),
    onState(state) {
      if (state === "matched again") printed.restart();
      if (state.startsWith("problem")) problems.push(state);
    },
    onWarning: (text) => say(yellow(text)),
  });
  const taken = (async () => {
    for await (const chunk of job.output) printed.take(chunk);
  })();
  // its receipt is another verb's
  const delivered = await job.delivered.finally(() => job.detach());
  await taken;
  if (delivered) return { lease, delivered };
  const ended = lease.end ? `it ended ${lease.end.reason} (${TERMS[lease.end.reason].says}), and ` : "";
  const why = problems.at(-1) ?? `${ended}nothing lies with the broker`;
  throw new UserError(`the result of ${shortId(lease.id)} cannot be had: ${why}`);
}

const whence = ({ from }: Delivered): string => (from === "server" ? "its server" : "the copy sealed with the broker");

export async function leaseResult({ lease: id, out, json }: ResultInput): Promise<void> {
  if (out !== null) await assertPlaceFor(out);
  const { client } = await openClient("read");
  const output: Record<Stream, Uint8Array[]> = { stdout: [], stderr: [] };
  const { lease, delivered } = await takeResult(client, id, out, {
    take: ({ stream, bytes }) => void output[stream].push(bytes),
    restart: () => void ([output.stdout, output.stderr] = [[], []]),
  });
  const { result, tree, from } = delivered;
  const [stdout, stderr] = [Buffer.concat(output.stdout), Buffer.concat(output.stderr)];
  if (json) return printJson({ lease: lease.id, result, from, tree, ...encodedStreams(output) });
  showRaw("stdout", stdout);
  showRaw("stderr", stderr);
  say(`${result.reason}${result.exitCode === null ? "" : `, exit ${result.exitCode}`}; from ${whence(delivered)}, as the server signed it`);
  if (result.detail !== "") say(result.detail);
  if (isAuditDue(lease, client.identity.party)) say(dueLine([lease]));
  const files = filesIn(tree);
  if (out !== null) say(`${countOf(files, "file")} in ${out}`);
  else if (files > 0) say(yellow(`${countOf(files, "file")} in /out: add --out DIR`));
}

export async function fetchFiles({ lease: id, out }: FetchInput): Promise<void> {
  await assertPlaceFor(out);
  const { client } = await openClient("read");
  const { delivered } = await takeResult(client, id, out, { take: () => {}, restart: () => {} });
  print(`${countOf(filesIn(delivered.tree), "file")} in ${out}`);
}
