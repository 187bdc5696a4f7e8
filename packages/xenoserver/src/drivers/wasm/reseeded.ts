/** A job whose randomness is drawn from another seed; work of another kind stays as it is. For demonstrations of cheating owners. */
import type { Work } from "../work.ts";

export function reseeded(work: Work): Work {
  if (work.kind !== "wasm") return work;
  const { spec } = work.job;
  const seed = spec.seed.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  return { ...work, job: { ...work.job, spec: { ...spec, seed } } };
}
