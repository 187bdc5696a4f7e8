/**
 * The pipes to an agent. The library's transport closes itself where a message is too long or nobody takes an answer any more, and reads
 * no further: the end of stdin would never be seen. Whoever serves over it hears of either here. What it leaves out as no message is
 * refused here. Who controls the inputs: the agent.
 */
import type { Readable, Writable } from "node:stream";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { LinesIn, refusalsOf } from "./wrong-messages.ts";

export class AgentTransport extends StdioServerTransport {
  readonly #closed = Promise.withResolvers<void>();
  /** Resolves when nothing is read or written any more. */
  readonly closed: Promise<void> = this.#closed.promise;
  readonly #lines = new LinesIn();
  readonly #stdin: Readable;

  constructor(stdin: Readable, stdout: Writable, bounds: { maxBufferSize: number }) {
    super(stdin, stdout, bounds);
    this.#stdin = stdin;
  }

  readonly #refuseWrong = (piece: Buffer): void => {
    const refusals = this.#lines.take(piece).flatMap(refusalsOf);
    // who reads no answers is seen by the library, as for any other
    for (const refusal of refusals) void this.send(refusal).catch(() => {});
  };

  override async start(): Promise<void> {
    await super.start();
    this.#stdin.on("data", this.#refuseWrong);
  }

  override async close(): Promise<void> {
    this.#stdin.off("data", this.#refuseWrong);
    this.#lines.clear();
    await super.close();
    this.#closed.resolve();
  }
}
