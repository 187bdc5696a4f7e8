/**
 * A running domain's state as `xl migrate` sends it: memory while the domain runs, then what was changed meanwhile, of a domain that has
 * suspended itself. What xl takes for the other host is a line of sh(1) that passes on to this program; it never says that the domain is
 * there, so xl lets it go on here, paused where it was paused meanwhile. That is as `xl save -p` leaves it. Who controls the inputs: the
 * toolstack (what it sends), the guest (how much of its memory it changes).
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { start } from "../programs/start.ts";
import { SaveStream } from "./save-stream.ts";
import { complaintIn } from "./xl-words.ts";

/** As xl waits for it (tools/xl/xl.h, migrate_receiver_banner). */
const BANNER = String.raw`xl migration receiver ready, send binary domain data.\n`;
/** File descriptors of that line: what xl sends goes out at the first, and it ends with the second. */
const [OUT, UNTIL] = [3, 4];

/** In place of the other host, for the domain of that name. By it alone a later daemon finds that it is sent still. */
export const otherEnd = (name: string): string =>
  `: ${name}; printf '${BANNER}'; exec 5<&0; cat <&5 >&${OUT} & exec ${OUT}>&-; read -r over <&${UNTIL}; kill $!`;

/** A state that is on its way. */
export interface SentState {
  /** It may have no end of its own. */
  stream: AsyncIterable<Uint8Array>;
  /** Resolves once xl has let go of the domain; with what it said first, but for how far it was. */
  end(): Promise<string>;
}

/** `log`: the file for what xl says. */
export type SendState = (id: number, name: string, log: string) => Promise<SentState>;

/** Outlives the daemon as far as it must: xl lets the domain go on. */
export const openLive: SendState = async (id, name, log) => {
  const said = { file: log, flags: "w", mode: 0o600 };
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const { stdio, exited } = await start("xl", ["migrate", "-s", "", String(id), otherEnd(name)], {
    ...{ detached: true, stdio: ["ignore", said, said, "pipe", "pipe"], cwd: "/", env },
  });
  const [stream, until] = [stdio[OUT] as Socket, stdio[UNTIL] as Socket];
  for (const each of [stream, until]) each.on("error", () => {}); // it has ended by itself
  return {
    stream,
    async end() {
      until.end();
      stream.destroy();
      await exited;
      return complaintIn(await readFile(log, "utf8"));
    },
  };
};

/** Up to where it ends. Throws, in the words of that command of xl's, where it is cut short. */
export async function* stateOf(sent: SentState, command: string): AsyncGenerator<Uint8Array> {
  const read = new SaveStream();
  for await (const bytes of sent.stream) {
    read.add(bytes);
    yield bytes;
    if (read.isOver) return;
  }
  throw new Error(`${command}: ${(await sent.end()).slice(0, 300) || "the domain's state was cut short"}`);
}
