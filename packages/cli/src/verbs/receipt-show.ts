/** `xeno receipt show`: what is in a receipt; with --public, what outsiders see of it. */
import { KINDS, KIND_TABLE, zReceipt, zReceiptDocument, type ReceiptDocument } from "@xenoservers/protocol";
import { ReceiptFile, shortId } from "@xenoservers/sdk";
import type { ReceiptShowInput } from "../input/verbs/proof.ts";
import { printJson, say, showJsonLine, showLine } from "../output/terminal.ts";
import { UserError, table, when } from "../output/ui.ts";
import { receiptHere } from "../proof/receipt-here.ts";

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

/** Its documents, whose reader takes each before the next is read. */
async function* documentsIn(receipt: ReceiptFile): AsyncGenerator<ReceiptDocument, void> {
  for await (const read of receipt.documents()) {
    const document = zReceiptDocument.safeParse(read).data;
    if (!document) throw new UserError(`${receipt.file} is no receipt`);
    yield document;
  }
}

/** As a short one: the receipt itself, or a list of leaves. */
async function showLongJson(receipt: ReceiptFile, outside: boolean): Promise<void> {
  const head = zReceipt.parse({
    ...receipt.head,
    format: "xenoservers-receipt-1",
    documents: [],
    leaves: (await receipt.end())?.leaves ?? [],
  });
  const { documents: _, ...rest } = head;
  let lead = outside ? "[" : `${JSON.stringify(rest).slice(0, -1)},"documents":[`;
  for await (const document of documentsIn(receipt)) {
    await showJsonLine(`${lead}${JSON.stringify(outside ? rowOf(document, true) : document)}`);
    lead = ",";
  }
  await showJsonLine(`${lead === "," ? "" : lead}${outside ? "]" : "]}"}`);
}

/** Each row as it is read. */
async function showLong(receipt: ReceiptFile, outside: boolean): Promise<void> {
  for await (const document of documentsIn(receipt)) {
    const { index, at, kind, leaf, id } = rowOf(document, outside);
    const row = [index ?? "waiting", when(at), kind ?? leaf.slice(0, 32), id === undefined ? "" : shortId(id)].join("  ");
    await showLine(row);
  }
}

export async function receiptShow({ leaseOrFile, public: outside, json }: ReceiptShowInput): Promise<void> {
  const { receipt: found, file } = await receiptHere(leaseOrFile, [], json);
  if (found instanceof ReceiptFile) return json ? showLongJson(found, outside) : showLong(found, outside);
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
