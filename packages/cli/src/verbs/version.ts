/** `xeno version`: what a bug report needs. */
import type { VersionInput } from "../input/verbs/about.ts";
import { print, printJson } from "../output/terminal.ts";
import { versions } from "../versions.ts";

export async function version({ all, json }: VersionInput): Promise<void> {
  const known = await versions();
  if (json) return printJson(all ? known : { xeno: known.xeno });
  if (!all) return print(known.xeno);
  for (const [name, value] of Object.entries(known)) print(`${name.padEnd(10)} ${value}`);
}
