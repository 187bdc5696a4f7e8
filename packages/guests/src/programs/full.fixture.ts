/** A server that has no descriptor left for a program's pipe, and then has again: prints what became of each start. */
import { closeSync, openSync } from "node:fs";
import { codeOf } from "../thrown.ts";
import { NotAsked } from "./program.ts";
import { StarterLink } from "./starter-link.ts";
import { PATIENCE } from "./starter-pulse.ts";

const link = await StarterLink.open({ ...PATIENCE, everyMs: 20, missedMax: Number.POSITIVE_INFINITY });
async function echoes(): Promise<string> {
  const program = await link.start("cat", [], { stdio: ["pipe", "pipe"] });
  program.stdio[0]!.end("heard");
  let text = "";
  for await (const part of program.stdio[1]!) text += String(part);
  await program.exited;
  return text;
}
const came = [await echoes()];
const taken: number[] = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch (error) {
  came.push(codeOf(error) ?? "");
}
came.push(
  await echoes().then(
    () => "started",
    // whether its starter sees that a pipe was let go of is a matter of moments
    (error: Error) => (error instanceof NotAsked ? "not asked" : error.message),
  ),
);
for (const each of taken) closeSync(each);
came.push(await echoes());
await link.close();
process.stdout.write(JSON.stringify(came));
