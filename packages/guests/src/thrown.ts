/** What is known of something that was thrown. */
import { isRecord } from "./json.ts";

/** The platform's code of an error, such as ENOENT; null where it has none. */
export const codeOf = (thrown: unknown): string | null => (isRecord(thrown) && typeof thrown["code"] === "string" ? thrown["code"] : null);

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** What a program that failed said first on its standard error; what was thrown itself where there was no program. */
export const firstLineOf = (thrown: unknown): string => {
  const said = isRecord(thrown) && typeof thrown["stderr"] === "string" ? thrown["stderr"] : String(thrown);
  return said.trim().split("\n")[0] ?? "";
};

/** What a Node that failed said was wrong: the line of its trace that names the error; else how it ended. */
export const lastErrorOf = (thrown: unknown): string => {
  const said = isRecord(thrown) && typeof thrown["stderr"] === "string" ? thrown["stderr"] : "";
  const signal = isRecord(thrown) && typeof thrown["signal"] === "string" ? ` (${thrown["signal"]})` : "";
  const named = said.split("\n").findLast((line) => /^\s*(\w*Error|[\w./-]+):/.test(line));
  return `${(named ?? said.trim().split("\n")[0] ?? "").trim() || "it said nothing"}${signal}`;
};
