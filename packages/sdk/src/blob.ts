/** Bytes that travel, by their digest, wherever they lie. Who controls the inputs: whoever runs this. */
import { toHex } from "@xenoservers/protocol";
import { systemCrypto } from "@xenoservers/protocol/system";

export interface Blob {
  digest: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** What is read is the reader's own, and goes when the reader is done with it. */
  isReadAnew?: true;
}
export type SourceEntry =
  | { path: string; kind: "file"; blob: Blob }
  | { path: string; kind: "directory" }
  | { path: string; kind: "link"; target: string };

export function bytesBlob(bytes: Uint8Array): Blob {
  return {
    digest: toHex(systemCrypto.sha256(bytes)),
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
