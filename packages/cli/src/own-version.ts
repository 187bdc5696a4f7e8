import { readFileSync } from "node:fs";
import { ownFile } from "./own-place.ts";

/** This program's version, as its package says. */
export const ownVersion = (): string => {
  const { version }: { version: string } = JSON.parse(readFileSync(ownFile("package.json"), "utf8"));
  return version;
};
