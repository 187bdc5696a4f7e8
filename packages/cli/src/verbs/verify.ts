/** Receipts: `verify` checks one offline, `receipt show` lists what is in it. */
import { randomInt } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { KIND_TABLE, cosignatureOf, parseDocumentOf, zReceipt, type Kind, type Receipt, type Witness } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { isEvidence, stoppedAt, verifyEvidence, verifyReceipt, wasRun, type ReExecuted, type Verification } from "@xenoservers/verify";
import { keepReceipt } from "../output/deliver.ts";
import { currentContext, home, openClient } from "../input/home.ts";
import { UserError, green, print, printJson, red, say, shortId, table, when, yellow } from "../output/ui.ts";

interface Json {
  json?: boolean;
}

async function evidenceIn(file: string): Promise<unknown> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return isEvidence(value) ? value : null;
  } catch {
    return null;
  }
}

/** A receipt by lease (saved here, or fetched) or by file. */
async function readReceipt(leaseOrFile: string, witnesses: readonly Witness[]): Promise<{ receipt: unknown; file: string }> {
  const fromFile = await readFile(leaseOrFile, "utf8").catch(() => null);
  if (fromFile !== null) return { receipt: JSON.parse(fromFile), file: leaseOrFile };
  if (!/^[0-9a-f]{4,64}$/.test(leaseOrFile)) throw new UserError(`there is no file ${leaseOrFile}, and it is no lease id`);
  const saved = (await readdir(home.receipts).catch(() => [])).filter((name) => name.startsWith(leaseOrFile) && name.endsWith(".json"));
  if (saved.length > 1) throw new UserError(`${leaseOrFile} fits more than one saved receipt; write more of its id`);
  if (saved.length === 1) {
    const file = path.join(home.receipts, saved[0]!);
    const receipt = JSON.parse(await readFile(file, "utf8")) as Receipt;
    const complete = receipt.documents.every(({ index }) => index !== null) && receipt.documents.some(({ kind }) => kind === "settlement");
    const witnessed = witnesses.every((witness) => cosignatureOf(nodeCrypto, witness, receipt.checkpoint) !== null);
    if (complete && witnessed) return { receipt, file };
    if (complete) return { receipt: (await fetchedAgain(receipt.lease)) ?? receipt, file };
  }
  const { client } = await openClient();
  const lease = await client.read("lease", { params: { id: leaseOrFile } });
  const file = await keepReceipt(client, lease.id);
  return { receipt: JSON.parse(await readFile(file, "utf8")), file };
}

/** The same receipt with what witnesses have cosigned since; null when the broker is not reached. */
async function fetchedAgain(lease: string): Promise<unknown> {
  try {
    const { client } = await openClient();
    return JSON.parse(await readFile(await keepReceipt(client, lease, 0), "utf8"));
  } catch {
    return null;
  }
}

const MARKS = { proved: green("proved "), claimed: yellow("claimed"), failed: red("FAILED ") };

/** Flips one bit of one letter of the receipt, to show that it is noticed. */
function tampered(receipt: unknown): { receipt: unknown; says: string } {
  const bytes = Buffer.from(JSON.stringify(receipt));
  for (;;) {
    const at = randomInt(bytes.length);
    const changed = Buffer.from(bytes);
    changed[at] = changed[at]! ^ 1;
    try {
      const result: unknown = JSON.parse(changed.toString("utf8"));
      if (isDeepStrictEqual(result, receipt)) continue;
      return { receipt: result, says: `byte ${at} changed from '${String.fromCharCode(bytes[at]!)}' to '${String.fromCharCode(changed[at]!)}'` };
    } catch {
      // no JSON any more: nothing to check in it
    }
  }
}

/** The job kept on this machine, run again as far as the server says it ran. */
async function reExecuteFor(receipt: unknown): Promise<ReExecuted> {
  const documents = zReceipt.safeParse(receipt).data?.documents ?? [];
  const result = documents.find(({ kind }) => kind === "result");
  const parsed = result && parseDocumentOf(nodeCrypto, "result", result.envelope);
  if (!parsed?.ok) throw new UserError("the receipt holds no result to compare with");
  const { readKeptJob } = await import("../input/kept-job.ts");
  const { reExecute } = await import("../proof/re-execute.ts");
  const { payload } = parsed.document;
  if (!wasRun(payload)) throw new UserError(`the job did not run (${payload.reason}): there is nothing to compare; leave out --re-execute`);
  const { readKeptVm } = await import("../input/kept-job.ts");
  const vm = await readKeptVm(payload.jobHash);
  if (vm) return (await import("../proof/re-execute-vm.ts")).reExecuteVm(vm, stoppedAt(payload) !== null);
  const verdict = documents.find(({ kind }) => kind === "verdict");
  const judged = verdict && parseDocumentOf(nodeCrypto, "verdict", verdict.envelope);
  const trace = judged?.ok && judged.document.payload.trace ? parseDocumentOf(nodeCrypto, "trace", judged.document.payload.trace) : null;
  return reExecute(await readKeptJob(payload.jobHash), stoppedAt(payload), trace?.ok ? BigInt(trace.document.payload.step) : null);
}

/** Offline once the receipt is saved here. */
export async function verify(leaseOrFile: string, { json, reExecute, tamper }: Json & { reExecute?: boolean; tamper?: boolean }): Promise<void> {
  const evidence = await evidenceIn(leaseOrFile);
  if (evidence !== null) {
    const known = await currentContext().catch(() => null); // evidence convicts on a machine that never saw the market, too
    return showVerification(verifyEvidence(nodeCrypto, evidence, known?.context.pins ?? null), leaseOrFile, json === true);
  }
  const { context } = await currentContext();
  const { witnesses } = context;
  const { receipt: found, file } = await readReceipt(leaseOrFile, witnesses ?? []);
  const { receipt, says } = tamper ? tampered(found) : { receipt: found, says: "" };
  const reExecuted = reExecute ? { reExecuted: await reExecuteFor(receipt) } : {};
  const verification = verifyReceipt(nodeCrypto, context.pins, receipt, { ...reExecuted, ...(witnesses ? { witnesses } : {}) });
  if (says !== "") say(says);
  showVerification(verification, file, json === true);
}

function showVerification({ ok, lines }: Verification, file: string, json: boolean): void {
  if (json) printJson({ ok, lines, file });
  else {
    for (const { status, check, says } of lines) print(`${MARKS[status]}  ${check.padEnd(14)} ${says}`);
    print(ok ? `nothing in ${file} is wrong; 'claimed' lines are one party's word` : `${file} does NOT hold: see the failed line`);
  }
  if (!ok) process.exitCode = 1;
}

export async function receiptShow(leaseOrFile: string, { public: outside, json }: Json & { public?: boolean }): Promise<void> {
  const { receipt } = (await readReceipt(leaseOrFile, [])) as { receipt: Receipt };
  if (json && !outside) return printJson(receipt);
  const rows = receipt.documents.map(({ kind, at, index, leaf, id }) => ({
    index,
    at,
    leaf,
    ...(!outside || KIND_TABLE[kind as Kind].public ? { kind, id } : {}),
  }));
  if (json) return printJson(rows);
  say(outside ? "what outsiders see of this lease in the public log:" : `lease ${shortId(receipt.lease)}, log of ${receipt.size} leaves`);
  table(
    ["leaf", "time", outside ? "commitment" : "document", "id"],
    rows.map((row) => [row.index ?? "waiting", when(row.at), "kind" in row ? row.kind! : row.leaf.slice(0, 32), "id" in row ? shortId(row.id!) : ""]),
  );
}
