/** A server that has a starter, starts two programs by it, writes down their numbers, and waits to be killed. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { start, starterPid } from "./start.ts";
import { useStarter } from "./use-starter.ts";

const [, , file = ""] = process.argv;
useStarter((why) => {
  throw new Error(why);
});
const starter = await starterPid();
const bound = await start("setpriv", ["--pdeathsig", "KILL", "sleep", "600"], { stdio: ["pipe"] });
const free = await start("sleep", ["600"], { stdio: [], detached: true });
const words = (await readFile(`/proc/${starter}/cmdline`, "utf8")).split("\0").filter((word) => word !== "");
await writeFile(`${file}.part`, JSON.stringify({ starter, bound: bound.pid, free: free.pid, socket: words.at(-1) }));
await rename(`${file}.part`, file);
