import { readFile } from "node:fs/promises";
import path from "node:path";
import { PROTOCOL_VERSION } from "@xenoservers/protocol/link";
import { PYTHON } from "@xenoservers/sdk";
import { z } from "zod";

const zManifest = z.looseObject({ version: z.string() });

/** What a bug report needs. */
export async function versions(): Promise<Record<string, string> & { xeno: string }> {
  const own = zManifest.parse(JSON.parse(await readFile(path.resolve(import.meta.dirname, "../package.json"), "utf8")));
  const engine = await import("@xenoservers/guests").then(
    ({ ENGINE_VERSION }) => ENGINE_VERSION,
    () => "not installed",
  );
  return {
    xeno: own.version,
    protocol: String(PROTOCOL_VERSION),
    engine,
    python: `${PYTHON.name} ${PYTHON.digest.slice(0, 12)}`,
    node: process.versions.node,
    v8: process.versions.v8,
    system: `${process.platform} ${process.arch}`,
  };
}
