/** Names that the runner, its driver and the result manifest share. `stopped` becomes the reason for which the runner stopped the guest. */
export type { JobSpec } from "@xenoservers/protocol";
export type ResultReasonName =
  | "completed"
  | "segment-end"
  | "fuel-limit"
  | "memory-limit"
  | "output-limit"
  | "module-malformed"
  | "image-refused"
  | "image-unfetched"
  | "job-refused"
  | "guest-panic"
  | "vm-crashed"
  | "stopped";
