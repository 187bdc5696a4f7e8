/** Every WASI call that is offered, by its name (signatures.ts says what each takes), over one guest's memory, descriptors and files. */
import { clockCalls } from "./clock-calls.ts";
import { contentCalls } from "./content-calls.ts";
import { descriptorCalls } from "./descriptor-calls.ts";
import { directoryCalls } from "./directory-calls.ts";
import type { Host } from "./host.ts";
import { openCall } from "./open-call.ts";
import { pathCalls } from "./path-calls.ts";
import { processCalls } from "./process-calls.ts";

export const wasiCalls = (host: Host) => ({
  ...processCalls(host),
  ...clockCalls(host),
  ...descriptorCalls(host),
  ...contentCalls(host),
  ...directoryCalls(host),
  ...openCall(host),
  ...pathCalls(host),
});
