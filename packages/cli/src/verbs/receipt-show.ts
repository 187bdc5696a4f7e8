/** `xeno receipt show`: what is in a receipt; with --public, what outsiders see of it. */
import { KINDS, KIND_TABLE, zReceipt, zReceiptDocument, type ReceiptDocument } from "@xenoservers/protocol";
import { ReceiptFile, readReceipt, shortId } from "@xenoservers/sdk";
import { clientThatReads } from "../input/client.ts";
import type { ReceiptShowInput } from "../input/verbs/proof.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, table, when } from "../output/ui.ts";

const isPublic = (kind: string): boolean => KINDS.some((each) => each === kind && KIND_TABLE[each].public);

interface Row {
  index: number | null;
  at: number;
  leaf: string;
  kind?: string;
  id?: string;
}

const rowOf = ({ kind, at, index, leaf, id }: ReceiptDocument, outside: boolean): Row => ({
  ...{ index, at, leaf },
  ...(!outside || isPublic(kind) ? { kind, id } : {}),
});

/** Of a long one, each row as it is read. */
async function showLong(receipt: ReceiptFile, outside: boolean, json: boolean): Promise<void> {
  let lead = "[\n";
  for await (const read of receipt.documents()) {
    const document = zReceiptDocument.safeParse(read).data;
    if (!document) throw new UserError(`${receipt.file} is no receipt`);
    const { index, at, kind, leaf, id } = rowOf(document, outside);
    if (json) print(`${lead}${JSON.stringify(outside ? rowOf(document, true) : document)}`);
    else print([index ?? "waiting", when(at), kind ?? leaf.slice(0, 32), id === undefined ? "" : shortId(id)].join("  "));
    lead = ",\n";
  }
  if (json) print("]");
}

export async function receiptShow({ leaseOrFile, public: outside, json }: ReceiptShowInput): Promise<void> {
  const { receipt: found, file } = await readReceipt(leaseOrFile, [], clientThatReads);
  if (found instanceof ReceiptFile) return showLong(found, outside, json);
  const receipt = zReceipt.safeParse(found).data;
  if (!receipt) throw new UserError(`${file} is no receipt`);
  if (json && !outside) return printJson(receipt);
  const rows = receipt.documents.map((document) => rowOf(document, outside));
  if (json) return printJson(rows);
  say(outside ? "what outsiders see of this lease in the public log:" : `lease ${shortId(receipt.lease)}, log of ${receipt.size} leaves`);
  table(
    ["leaf", "time", outside ? "commitment" : "document", "id"],
    rows.map(({ index, at, leaf, kind, id }) => [
      index ?? "waiting",
      when(at),
      kind ?? leaf.slice(0, 32),
      id === undefined ? "" : shortId(id),
    ]),
  );
}
