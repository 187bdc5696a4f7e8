import { readFileSync } from "node:fs";
import path from "node:path";

/** This program's version, as its package says. */
export const ownVersion = (): string => {
  const { version }: { version: string } = JSON.parse(readFileSync(path.resolve(import.meta.dirname, "../package.json"), "utf8"));
  return version;
};
