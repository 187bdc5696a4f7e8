/** Programs and copies of one machine run a few at a time: what is more waits here, as it would for a processor. */
import { isShellFull, type HeldMachine } from "@xenoservers/sdk";
import { say } from "../output/terminal.ts";

const EVERY_MS = 500;

/** `begin`: uses nothing up where it is refused. */
export async function whenFree<T>({ client }: Pick<HeldMachine, "client">, begin: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await begin();
    } catch (error) {
      if (!isShellFull(error)) throw error;
      if (tries === 0) say(`waiting: ${(error as Error).message}`);
      await client.sleep(EVERY_MS);
    }
  }
}
