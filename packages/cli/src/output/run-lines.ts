/** What `run` says of an order and its job while they are under way. Who controls the inputs: the broker and the server (states). */
import { shortId, type BuiltWork, type Watching } from "@xenoservers/sdk";
import { ReceiptLine } from "./receipt-line.ts";
import { Sending } from "./sending.ts";
import { Starting } from "./starting.ts";
import { say, yellow } from "./terminal.ts";

/** A job is under way once its server says one of these. */
const BEGUN = ["preparing", "running", "ended"];
const TOLD = ["reconnecting", "matched again"];

export class RunLines {
  /** For the call that orders. */
  readonly watching: Pick<Watching, "onState" | "onSent" | "onReceipt">;
  readonly #starting: Starting;
  readonly #receipt: ReceiptLine;

  constructor({ spec }: BuiltWork, quiet: boolean) {
    const sending = new Sending(quiet);
    const starting = Starting.here("vm" in spec ? "making its disk ready and booting" : "making it ready to run", quiet);
    this.#starting = starting;
    this.#receipt = new ReceiptLine(quiet);
    this.watching = {
      onSent: (progress) => sending.sent(progress),
      onReceipt: (progress) => this.#receipt.show(progress),
      onState(state) {
        if (state !== "waiting") sending.end(BEGUN.includes(state));
        starting.state(state);
        if (!quiet && (state.startsWith("problem") || TOLD.includes(state))) say(yellow(`         ${state}`));
      },
    };
  }

  /** It prints: what stood there makes room. */
  prints(): void {
    this.#starting.state("running");
  }

  /** The receipt of that lease is here, or will not be: the same command would order, and pay, once more. */
  received(isHere: boolean, lease: string): void {
    this.#receipt.end(isHere, `xeno verify ${shortId(lease)}`);
  }

  close(): void {
    this.#starting.state("closed");
  }
}
