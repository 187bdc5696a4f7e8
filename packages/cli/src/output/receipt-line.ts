/** What is said of a long receipt on its way to this machine. Who controls the numbers: the broker. */
import type { ReceiptProgress } from "@xenoservers/sdk";
import { ProgressLine, amountText, perSecond, rateText } from "./progress.ts";
import { dim, say } from "./terminal.ts";
import { countOf, when } from "./ui.ts";

/** Of less nothing is said once it is there. */
const SAID_FROM_BYTES = 8 * 1024 * 1024;

/** How far it is, so long after its fetch began, or went on. */
export function receiptText({ documents, documentsInAll, bytes, before }: ReceiptProgress, ms: number): string {
  const [came, cameBytes] = [documents - (before?.documents ?? 0), bytes - (before?.bytes ?? 0)];
  const of = documentsInAll === null ? "" : ` of ${documentsInAll}`;
  const rate = perSecond(came, ms);
  const left = documentsInAll === null || rate === 0 || documents >= documentsInAll ? null : Math.ceil((documentsInAll - documents) / rate);
  return `receipt: ${documents}${of} documents, ${amountText(bytes)}, ${rateText(cameBytes, ms)}${left === null ? "" : `, ${left} s left`}`;
}

export class ReceiptLine {
  readonly #line: ProgressLine | null;
  #began: number | null = null;
  #last: ReceiptProgress | null = null;

  /** `quiet`: nothing is said. */
  constructor(quiet: boolean) {
    this.#line = quiet ? null : new ProgressLine("receipt");
  }

  show(progress: ReceiptProgress): void {
    const { before } = progress;
    if (this.#began === null && this.#line !== null && before !== null)
      say(dim(`the receipt's fetch goes on: ${countOf(before.documents, "document")} of it came until ${when(before.at)}`));
    this.#began ??= performance.now();
    this.#last = progress;
    this.#line?.tell((ms) => receiptText(progress, ms));
  }

  /** All of it is here, or will not be; said once. `next`: what goes on with it. */
  end(isHere: boolean, next = "the same command"): void {
    if (this.#line === null || this.#last === null || this.#began === null) return;
    this.#line.end();
    const { documents, bytes, before } = this.#last;
    this.#last = null;
    const came = bytes - (before?.bytes ?? 0);
    if (!isHere) say(dim(`${countOf(documents, "document")} of the receipt came: where it can, ${next} goes on from there`));
    else if (bytes >= SAID_FROM_BYTES)
      say(dim(`receipt  ${countOf(documents, "document")}, ${amountText(came)}, ${rateText(came, performance.now() - this.#began)}`));
  }
}
