import type { Hold, Resources } from "@xenoservers/market";

/** Whether a driver can run here, for the owner: what is missing stands in words. */
export interface DriverState {
  name: string;
  present: boolean;
  reason: string;
  /** What holds its guests, in the market's words. */
  holds: readonly Hold[];
  /** Its guests' disks lie on the host's. */
  usesHostDisk: boolean;
  /** What its guests have in all, where that is not of what this system itself has. */
  room?: Pick<Resources, "vcpu" | "memoryMib">;
}
