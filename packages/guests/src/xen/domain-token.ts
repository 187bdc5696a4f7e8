/** What a domain is made of, and what a later daemon finds it again by. */
import type { VmSpec } from "@xenoservers/protocol";
import type { DomainPlan } from "./domain-config.ts";

/** What finds the domain again. */
export interface DomainToken {
  folder: string;
  name: string;
  uuid: string;
  outputMibMax: number;
  /** Of an image's job: what its answer begins with, and its disk. Empty for others. */
  jobToken: string;
  diskMib: number;
  /** The host's, as it was made. */
  boot: string;
  [key: string]: string | number;
}

export interface DomainWork {
  /** With what it boots, also where it went on from a snapshot. */
  spec: VmSpec;
  plan: DomainPlan;
  /** Of the files that xl reads to make it. */
  kernelMib: number;
}
