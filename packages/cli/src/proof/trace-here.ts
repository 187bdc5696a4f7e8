/** The states of a kept module's run on this machine; what runs it is loaded where it is asked for. */
import type { JobTracer } from "@xenoservers/sdk";
import { assertLinux } from "../local/right-system.ts";

export const traceHere: JobTracer = async (...asked) => {
  assertLinux("running a lease's work again");
  return (await import("./re-execute.ts")).traceHere(...asked);
};
