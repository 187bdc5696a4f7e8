/** A state's manifest as it is written: everything that a guest's further run depends on, with its pieces named by their digests. */

export const STATE_FORMAT = "xeno-state-3";

/** Which of the module's two entries the guest is in. */
export type Phase = "start" | "main";

export type NodeRecord = { ino: string; links: number; times: [string, string, string] } & (
  | { kind: "file"; bytes: string; size: number }
  | { kind: "link"; target: string }
  | { kind: "directory"; entries: [string, string][]; parent: string | null; readOnly: boolean; own: boolean }
);

export type DescriptorRecord = { fd: number; rights: string; inheriting: string; flags: number } & (
  | { kind: "file"; ino: string; offset: number }
  | { kind: "directory"; ino: string; preopen: string | null; listing: [string, string, number][] | null }
  | { kind: "input"; offset: number }
  | { kind: "output"; stream: "stdout" | "stderr" }
);

export interface StateManifest {
  format: typeof STATE_FORMAT;
  /** Used so far; decimal. */
  fuel: string;
  /** What the engine's global says of it: that of the last call, entry or finished loop. */
  noted: string;
  phase: Phase;
  refused: number;
  /** Digest of each page of memory, "" for one of zeros. */
  pages: string[];
  /** Digest of the unwound call stack. */
  stack: string;
  /** Each mutable global that the module's author wrote, by its exported name. */
  globals: [string, string][];
  /** Digests of what was written so far. */
  stdout: string;
  stderr: string;
  streamedBytes: number;
  sleptNs: string;
  random: string[];
  nextIno: string;
  root: string;
  nodes: NodeRecord[];
  descriptors: DescriptorRecord[];
}
