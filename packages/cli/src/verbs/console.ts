/** `xeno console`: the serial line. What is typed goes in, what comes out is shown; from here on, or from the start where nobody types. */
import { shortId } from "@xenoservers/sdk";
import { hold } from "../machine/hold.ts";
import { leaseOver } from "../machine/lease-over.ts";
import type { ConsoleInput } from "../input/verbs/machine.ts";
import { say, showRaw } from "../output/terminal.ts";

const LEAVE = 0x1d; // Ctrl-]

export async function consoleOf({ lease }: ConsoleInput): Promise<void> {
  const held = await hold(lease, (bytes) => showRaw("stdout", bytes));
  const { stdin } = process;
  const left = Promise.withResolvers<string>();
  say(`console of ${shortId(held.bound.po.id)}; leave it with Ctrl-]`);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", (bytes: Buffer) => {
    const at = bytes.indexOf(LEAVE);
    const typed = at < 0 ? bytes : bytes.subarray(0, at);
    if (typed.length > 0) void held.session.machine.input(typed).catch((error: Error) => left.resolve(error.message));
    if (at >= 0) left.resolve("left; the machine runs on");
  });
  stdin.once("end", () => stdin.isTTY && left.resolve("left; the machine runs on"));
  stdin.resume();
  const why = await Promise.race([left.promise, leaseOver(held)]);
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.pause();
  held.close();
  say("", why);
}
