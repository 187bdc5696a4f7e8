/** A journal on a simulated disk: what was saved survives the daemon, nothing else does. */
import { createHash } from "node:crypto";
import type { Journal, LeaseRecord } from "./journal.ts";

export function createMemoryJournal(): Journal & { wipe(): void } {
  const records = new Map<string, string>();
  const blobs = new Map<string, Uint8Array>();
  let sequence = 0;
  return {
    wipe() {
      records.clear();
      blobs.clear();
    },
    load: async () => [...records.values()].map((text) => JSON.parse(text) as LeaseRecord),
    async save(record) {
      records.set(record.lease, JSON.stringify(record));
    },
    async remove(lease) {
      records.delete(lease);
    },
    bytes: async ({ lease }) => [...blobs].reduce((sum, [name, { length }]) => (name.startsWith(`${lease}/`) ? sum + length : sum), 0),
    blobSize: async (lease, digest) => blobs.get(`${lease}/${digest}`)?.length ?? -1,
    async writeBlob(lease, digest, offset, bytes) {
      const before = offset === 0 ? new Uint8Array(0) : (blobs.get(`${lease}/${digest}`) ?? new Uint8Array(0));
      const after = new Uint8Array(Math.max(before.length, offset + bytes.length));
      after.set(before);
      after.set(bytes, offset);
      blobs.set(`${lease}/${digest}`, after);
    },
    async checkBlob(lease, digest) {
      const bytes = blobs.get(`${lease}/${digest}`);
      const right = bytes !== undefined && createHash("sha256").update(bytes).digest("hex") === digest;
      if (!right) blobs.delete(`${lease}/${digest}`);
      return right;
    },
    blobFile: (lease, digest) => `${lease}/${digest}`,
    nextOfferSequence: async (after = 0) => (sequence = Math.max(sequence, after) + 1),
  };
}
