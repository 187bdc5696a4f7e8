/** Environment variables as people write them. */
import { InputError } from "./errors.ts";

export function envPair(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new InputError(`--env '${text}' must be NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}
