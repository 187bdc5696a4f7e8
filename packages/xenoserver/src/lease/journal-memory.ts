/** A journal on a simulated disk: what was saved survives the daemon, nothing else does. */
import { createHash } from "node:crypto";
import { concatBytes } from "@xenoservers/protocol";
import type { Journal, LeaseRecord } from "./journal.ts";

export function createMemoryJournal(): Journal & { wipe(): void } {
  const records = new Map<string, string>();
  const blobs = new Map<string, Uint8Array>();
  let sequence = 0;
  const check = async (lease: string, digest: string): Promise<boolean> => {
    const bytes = blobs.get(`${lease}/${digest}`);
    const right = bytes !== undefined && createHash("sha256").update(bytes).digest("hex") === digest;
    if (!right) blobs.delete(`${lease}/${digest}`);
    return right;
  };
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
    bytes: async ({ lease }) => ({
      bytes: [...blobs].reduce((sum, [name, { length }]) => (name.startsWith(`${lease}/`) ? sum + length : sum), 0),
      shared: new Map(),
    }),
    async arriving(lease, _bringer, { digest, size }) {
      const name = `${lease}/${digest}`;
      const there = blobs.get(name);
      let bytes = there && there.length <= size ? there : new Uint8Array(0);
      blobs.set(name, bytes);
      return {
        get size() {
          return bytes.length;
        },
        append: async (more) => void blobs.set(name, (bytes = concatBytes(bytes, more))),
        finish: () => check(lease, digest),
        close: async () => {},
      };
    },
    setAside: async () => {},
    forgetInputs: async () => {},
    keptInputs: async () => [],
    pruneInputs: async () => {},
    hasBlob: async (lease, { digest, size }) => blobs.get(`${lease}/${digest}`)?.length === size && check(lease, digest),
    blobFile: (lease, digest) => `${lease}/${digest}`,
    nextOfferSequence: async (after = 0) => (sequence = Math.max(sequence, after) + 1),
    lastOfferSequence: async () => sequence,
  };
}
