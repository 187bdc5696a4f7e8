/** What a page tells its reader to type or to put into a file, in its order: each command by its text, each file as a whole. */
import { readFileSync } from "node:fs";

export interface Told {
  /** How the table of places calls it: a command's own words, or the language of a file and its number on the page. */
  name: string;
  text: string;
  /** Of the page's blocks: each is typed into a terminal of its own. */
  block: number;
}

const FENCE = /^```([a-z]+)\n([\s\S]*?)^```$/gm;

/** Without what is said of it behind `#`. */
const bare = (line: string): string => line.replace(/(^|\s+)#\s.*$/, "").trimEnd();

function commandsIn(script: string): string[] {
  const joined = script.replaceAll(/\\\n\s*/g, "");
  return joined.split("\n").flatMap((line) => (bare(line) === "" ? [] : [bare(line)]));
}

/** What a pipeline's file has the runner do. */
const stepsIn = (yaml: string): string[] =>
  yaml.split("\n").flatMap((line) => {
    const step = /^\s+- (?:run: )?((?:npm|xeno) .*)$/.exec(line)?.[1];
    return step === undefined ? [] : [step];
  });

export function toldOn(page: string): Told[] {
  const files = new Map<string, number>();
  return [...readFileSync(page, "utf8").matchAll(FENCE)].flatMap(([, language = "", text = ""], block) => {
    if (language === "sh") return commandsIn(text).map((command) => ({ name: command, text: command, block }));
    if (language === "yaml") return stepsIn(text).map((command) => ({ name: command, text: command, block }));
    files.set(language, (files.get(language) ?? 0) + 1);
    return [{ name: `${language} ${files.get(language)}`, text, block }];
  });
}
