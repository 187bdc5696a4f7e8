/**
 * Environment variables as they are typed and as files list them, in the words of container engines: a name alone is this side's own, and
 * sets nothing where it has none; what is typed stands before what files say. Who controls them: whoever types.
 */
import { readFileSync } from "node:fs";
import { UserError } from "../output/ui.ts";
import { assertVariable } from "./not-utf8.ts";

interface Given {
  env: readonly string[];
  envFile: readonly string[];
}

function pairOf(text: string, where: string): [string, string][] {
  const at = text.indexOf("=");
  if (at === 0) throw new UserError(`${where} '${text}' names nothing: write NAME=VALUE, or NAME for this side's own`);
  if (at > 0) return [[text.slice(0, at), text.slice(at + 1)]];
  const own = process.env[text];
  if (own !== undefined) assertVariable(text, own);
  return own === undefined ? [] : [[text, own]];
}

function textOf(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new UserError(`--env-file ${file} cannot be read as text: ${(error as Error).message}`);
  }
}

/** A line is a variable, as it stands: quotes are part of a value. */
function pairsIn(file: string): [string, string][] {
  return textOf(file)
    .split(/\r?\n/)
    .flatMap((line, i) => {
      const text = line.trimStart();
      if (text === "" || text.startsWith("#")) return [];
      const where = `--env-file ${file}, line ${i + 1}:`;
      if (/\s/.test(/^[^=]*/.exec(text)![0].trimEnd())) throw new UserError(`${where} '${text}' has a space in the name of a variable`);
      return pairOf(text.includes("=") ? text : text.trimEnd(), where);
    });
}

/** Each name once. */
export const environmentOf = ({ env, envFile }: Given): Map<string, string> =>
  new Map([...envFile.flatMap(pairsIn), ...env.flatMap((text) => pairOf(text, "--env"))]);
