/**
 * What a script says at its head that it needs (PEP 723, as `uv run` and `pipx run` read it): nothing is installed for a job, so that it is
 * said before the quote. Who controls the script: whoever runs it.
 */
import type { SourceEntry } from "../blob.ts";
import { InputError } from "../errors.ts";
import { shellWord } from "./shell-word.ts";

const BEGINS = /^# \/\/\/ script\s*$/;
const ENDS = /^# \/\/\/\s*$/;
const LIST = /^dependencies[ \t]*=[ \t]*\[/m;
const ITEM = /[\s,]+|#[^\n]*|"([^"\n]*)"|'([^'\n]*)'/y;
/** As PyPA's specification of names says: `-`, `_` and `.` are the same. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?/;
const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_.]+/g, "_");

/** Of the first block of that name, without what makes comments of it. */
function headerOf(source: string): string {
  const lines = source.split(/\r?\n/);
  const begin = lines.findIndex((line) => BEGINS.test(line)) + 1;
  if (begin === 0) return "";
  const after = lines.slice(begin);
  const end = after.findIndex((line) => !/^#(?: |$)/.test(line));
  const block = end < 0 ? after : after.slice(0, end);
  return block
    .slice(
      0,
      Math.max(
        0,
        block.findLastIndex((line) => ENDS.test(line)),
      ),
    )
    .map((line) => line.slice(2))
    .join("\n");
}

/** As they are written; those under a condition (`; sys_platform == "win32"`) may be for elsewhere. */
export function dependenciesOf(source: string): string[] {
  // further down the tables of tools begin, which have lists of that name, too
  const [header = ""] = headerOf(source).split(/^\[/m);
  const list = LIST.exec(header);
  if (!list) return [];
  const found: string[] = [];
  ITEM.lastIndex = list.index + list[0].length;
  for (let item = ITEM.exec(header); item; item = ITEM.exec(header)) found.push((item[1] ?? item[2] ?? "").trim());
  return found.filter((each) => NAME.test(each) && !each.includes(";"));
}

/** Throws InputError where none of them lies in a folder that is brought in. */
export function assertBrought(file: string, source: string, brought: readonly SourceEntry[]): void {
  const needs = dependenciesOf(source);
  const here = new Set(brought.flatMap(({ path }) => path.split("/").map((part) => plain(part.replace(/-[^-]*\.dist-info$|\.py$/, "")))));
  const missing = needs.filter((each) => !here.has(plain(NAME.exec(each)![0])));
  if (missing.length === 0) return;
  const words = missing.map(shellWord).join(" ");
  throw new InputError(
    `${file} says that it needs ${missing.join(", ")} (PEP 723), and nothing is installed for a job: ` +
      `bring in what is of Python alone (pip install --target packages ${words}, then --dir packages --env PYTHONPATH=/packages), ` +
      "or run it in an image that has it",
  );
}
