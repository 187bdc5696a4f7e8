/** What was typed for an option, `--seed 7` or `--seed=7`; null where it was not. main.ts has refused what is none. */
import { parseArgs } from "node:util";

const OPTIONS = { seed: { type: "string" }, count: { type: "string" }, row: { type: "string" } } as const;

export function typedText(option: keyof typeof OPTIONS, args = process.argv.slice(2)): string | null {
  const text = parseArgs({ args, options: OPTIONS, strict: false }).values[option];
  return typeof text === "string" ? text : null;
}

export function typedNumber(option: "seed" | "count"): number | null {
  const text = typedText(option);
  return text === null ? null : Number(text);
}
