/**
 * The pipes to an agent. The library's transport closes itself where a message is too long or nobody takes an answer any more, and reads
 * no further: the end of stdin would never be seen. Whoever serves over it hears of either here. Who controls the inputs: the agent.
 */
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";

export class AgentTransport extends StdioServerTransport {
  readonly #closed = Promise.withResolvers<void>();
  /** Resolves when nothing is read or written any more. */
  readonly closed: Promise<void> = this.#closed.promise;

  override async close(): Promise<void> {
    await super.close();
    this.#closed.resolve();
  }
}
