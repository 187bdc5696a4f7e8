/** What a job printed, as programs read it in JSON: text as it is, anything else in base64, and which of the two it is by name. */
import { isUtf8 } from "node:buffer";

export type Encoding = "utf8" | "base64";

/** All of it, whole. */
export function encoded(bytes: Uint8Array): { encoding: Encoding; data: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(buffer) ? { encoding: "utf8", data: buffer.toString("utf8") } : { encoding: "base64", data: buffer.toString("base64") };
}

type Named<S extends string> = Record<S | `${S}Encoding`, string>;

/** Both streams of a job, as every `--json` has them. */
export function encodedStreams({ stdout, stderr }: Record<"stdout" | "stderr", readonly Uint8Array[]>): Named<"stdout" | "stderr"> {
  const [out, err] = [encoded(Buffer.concat(stdout)), encoded(Buffer.concat(stderr))];
  return { stdout: out.data, stdoutEncoding: out.encoding, stderr: err.data, stderrEncoding: err.encoding };
}
