/** What whoever logs in, or changes the context, has to hear where a variable of theirs goes before it. */
import { say, yellow } from "./terminal.ts";

/** `name`: of the context that is to be used from now on. Null: it is. */
export function overruledText(name: string, { XENO_CONTEXT: named = "", XENO_TOKEN: token = "" }: NodeJS.ProcessEnv): string | null {
  if (named === name) return null;
  const variable = named !== "" ? "XENO_CONTEXT" : token !== "" ? "XENO_TOKEN" : null;
  return variable && `${variable} is set and goes before it: unset it to be who ${name} is`;
}

export function sayOverruled(name: string): void {
  const text = overruledText(name, process.env);
  if (text !== null) say(yellow(text));
}
