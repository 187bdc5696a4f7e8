import { PROTOCOL_VERSION } from "@xenoservers/protocol/link";
import { PYTHON } from "@xenoservers/sdk";
import { ownVersion } from "./own-version.ts";

/** What a bug report needs. */
export async function versions(): Promise<Record<string, string> & { xeno: string }> {
  const engine = await import("@xenoservers/guests").then(
    ({ ENGINE_VERSION }) => ENGINE_VERSION,
    () => "not installed",
  );
  return {
    xeno: ownVersion(),
    protocol: String(PROTOCOL_VERSION),
    engine,
    python: `${PYTHON.name} ${PYTHON.digest.slice(0, 12)}`,
    node: process.versions.node,
    v8: process.versions.v8,
    system: `${process.platform} ${process.arch}`,
  };
}
