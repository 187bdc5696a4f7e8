/** `xeno screen`: a machine's screen for VNC viewers of this machine, or one picture of it. */
import { writeFile } from "node:fs/promises";
import { newPassword, openScreenPort, shortId, takePicture } from "@xenoservers/sdk";
import type { ScreenInput } from "../input/verbs/machine.ts";
import { untilTold } from "../local/until-told.ts";
import { hold, type Held } from "../machine/hold.ts";
import { leaseOver } from "../machine/lease-over.ts";
import { startViewer } from "../machine/viewer.ts";
import { print, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** Whoever is on this machine, and the server, could make it say things for ever: each is said once, and no more than these. */
const TOLD_MAX = 8;

export async function screen({ lease, port, noViewer, screenshot }: ScreenInput): Promise<void> {
  const held = await hold(lease, null);
  try {
    await (screenshot === null ? show(held, port ?? 0, noViewer) : save(held, screenshot));
  } finally {
    held.close();
  }
}

async function save({ session }: Held, file: string): Promise<void> {
  const { width, height, png } = await takePicture(session.machine).catch((error: Error) => {
    throw new UserError(error.message);
  });
  await writeFile(file, png, { mode: 0o600 });
  say(`${file}: ${width}x${height}`);
}

/** A viewer that nobody closed says itself what is wrong. */
function endOf(name: string, code: number): number {
  if (code !== 0) say(`${name} ended with code ${code}; --no-viewer starts none, for a viewer of yours`);
  return code;
}

async function show(held: Held, wanted: number, noViewer: boolean): Promise<void> {
  const { session, bound } = held;
  const password = newPassword();
  const told = new Set<string>();
  const onProblem = (why: string): void => {
    if (told.has(why) || told.size >= TOLD_MAX) return;
    told.add(why);
    say(why);
  };
  const { port, close } = await openScreenPort(session.machine, { password, port: wanted, onProblem }).catch((error: Error) => {
    throw new UserError(`port ${wanted} cannot be used: ${error.message}`);
  });
  const viewer = noViewer ? null : await startViewer(port, password);
  print(`vnc://127.0.0.1:${port}`);
  if (viewer === null || viewer.asks) say(`password ${password}`);
  say(`${viewer === null ? "viewers there see" : `${viewer.name} shows`} the screen of ${shortId(bound.po.id)}; end with Ctrl-C`);
  const over = await Promise.race([
    leaseOver(held),
    untilTold().then(() => 0),
    ...(viewer === null ? [] : [viewer.ended.then((failed) => endOf(viewer.name, failed))]),
  ]);
  close();
  await viewer?.close();
  if (typeof over === "string") say(over);
  else process.exitCode = over;
}
