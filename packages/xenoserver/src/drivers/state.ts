/** Whether a driver can run here, for the owner: what is missing stands in words. */
export interface DriverState {
  name: string;
  present: boolean;
  reason: string;
  /** Its guests' disks lie on the host's. */
  usesHostDisk: boolean;
}
