/** What XAPI's codes mean for the owner who reads them in the log, and what to do; XAPI's own text names neither. Pure. */
const WORDS: Readonly<Record<string, string>> = {
  NO_HOSTS_AVAILABLE: "no host has the memory, the storage and the processors for it now",
  HOST_NOT_ENOUGH_FREE_MEMORY: "no host has so much memory free: lower capacity.memory",
  SR_FULL: "the storage is full: lower capacity.disk, xapi.image_gib or xapi.snapshots_gib, or wait until the pool has coalesced",
  SR_BACKEND_FAILURE_44:
    "the storage is full: lower capacity.disk, xapi.image_gib or xapi.snapshots_gib, or wait until the pool has coalesced",
  SR_SUSPEND_SPACE_INSUFFICIENT: "the storage has no room for the machine's memory: raise xapi.snapshots_gib only where there is room",
  SR_HAS_NO_PBDS: "no host sees the storage: plug it (xe pbd-plug)",
  VDI_IO_ERROR: "the storage could not read or write it: look at the hosts' kernel log and at the storage",
  VM_NO_SUSPEND_SR: "the host that runs it does not see the storage",
  VM_REQUIRES_SR: "that host does not see the storage: it has to be a shared one",
  VM_LACKS_FEATURE: "the machine's system has no drivers of Xen's",
  VM_MISSING_PV_DRIVERS: "the machine's system has no drivers of Xen's",
  VM_NON_SUSPENDABLE: "the machine's system says that it cannot be suspended",
  VM_FAILED_SUSPEND_ACKNOWLEDGMENT: "the machine's system did not answer",
  FEATURE_RESTRICTED: "the pool's licence does not have it",
  LICENCE_RESTRICTION: "the pool's licence does not have it",
  RBAC_PERMISSION_DENIED: "xapi.user may not do that: it needs the role VM Admin",
  TOO_MANY_PENDING_TASKS: "the pool has too much to do",
  SESSION_AUTHENTICATION_FAILED: "the pool does not take xapi.user with that password",
};

/** With what goes before it; empty where the code says it well enough. */
export const wordsOf = (code: string): string => (Object.hasOwn(WORDS, code) ? `: ${WORDS[code]}` : "");
