/**
 * What the program of an image reads, as its customer feeds it. Who controls the inputs: the customer (bytes), the guest (what it has
 * taken).
 */
import type { StdinPort } from "@xenoservers/guests";
import type { GuestInput } from "../driver.ts";

/** `open`: as soon as there is a guest; called with what is to hear how much was taken. */
export function inputOf(open: (changed: (taken: number) => void) => Promise<StdinPort>, isTerminal: boolean): GuestInput {
  let changed = (): void => {};
  let taken: number | null = null;
  const port = open((now) => {
    taken = now;
    changed();
  });
  port.catch(() => {}); // each who sends hears of it
  return {
    get taken() {
      return taken;
    },
    isTerminal,
    onTaken: (told) => (changed = told),
    receive: async (offset, bytes, last) => (await port).receive(offset, bytes, last),
  };
}
