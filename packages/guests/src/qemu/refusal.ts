/**
 * Whose doing it was that a machine does not start, or does not go on. A fault of the customer's is a `Refusal` with words for the
 * customer; whatever is thrown without that type is the host's own failure. Nothing here decides who pays: the driver turns a fault into
 * the reason of the lease's end.
 */

/**
 * `bytes`: an image or another file of the customer's cannot be what it is said to be. `limits`: what was ordered is too small for it.
 * `job`: the specification asks for what no machine, or this server, can be. `fetch`: an address does not give the image, or not in time;
 * whose doing that is, its network's or its place's, nobody can tell. `untold`: the customer or the host, and nobody can tell which.
 */
export type Fault = "bytes" | "limits" | "job" | "fetch" | "untold";

export class Refusal extends Error {
  override name = "Refusal";
  readonly fault: Fault;

  constructor(fault: Fault, words: string, options?: ErrorOptions) {
    super(words, options);
    this.fault = fault;
  }
}
