import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

const zManifest = z.looseObject({ version: z.string() });

/** This program's version, as its package says. */
export const ownVersion = (): string =>
  zManifest.parse(JSON.parse(readFileSync(path.resolve(import.meta.dirname, "../package.json"), "utf8"))).version;
