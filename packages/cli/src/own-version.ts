import { builtin } from "@xenoservers/protocol/builtin";
import { ownFile } from "./own-place.ts";

/** This program's version, as its package says. */
export const ownVersion = (): string => {
  // an import of it would load as much again as all else that prints a version
  const { readFileSync } = builtin("node:fs");
  const { version }: { version: string } = JSON.parse(readFileSync(ownFile("package.json"), "utf8"));
  return version;
};
