/** The states of a kept module's run on this machine; what runs it is loaded where it is asked for. */
import type { JobTracer } from "@xenoservers/sdk";

export const traceHere: JobTracer = async (...asked) => (await import("./re-execute.ts")).traceHere(...asked);
