/** A server whose starter is killed while a program runs on that is to outlive it, whose number it writes down; then it lets go of another. */
import { rename, writeFile } from "node:fs/promises";
import { start, starterPid } from "./start.ts";
import { useStarter } from "./use-starter.ts";

const [, , file = ""] = process.argv;
const { close } = useStarter((why) => {
  throw new Error(why);
});
const before = await starterPid();
const { pid, unref } = await start("sleep", ["600"], { stdio: [], detached: true });
unref();
await writeFile(`${file}.part`, String(pid));
await rename(`${file}.part`, file);
process.kill(before!, "SIGKILL");
while ((await starterPid()) === before) await new Promise(setImmediate);
await close();
process.stdout.write("closed\n");
