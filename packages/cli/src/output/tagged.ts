/**
 * A job's output with the name of its input before each line (`map --tag`). The bytes are the job's own, as they came; the name is not, and
 * nothing of it is obeyed by a terminal. Who controls the inputs: the job (bytes), file systems (names that a pattern finds).
 */
import { visible } from "@xenoservers/protocol/visible";

/** With its end, where it has one. */
const LINE = /[^\n]*\n|[^\n]+$/g;

export function tagged(name: string, bytes: Uint8Array): Buffer {
  const tag = Buffer.from(`${visible(name)}\t`);
  const lines = Buffer.from(bytes).toString("latin1").matchAll(LINE);
  return Buffer.concat([...lines].flatMap(([line]) => [tag, Buffer.from(line, "latin1")]));
}
