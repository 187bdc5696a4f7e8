/** What a row of the tables in this folder says of an odd image. */
import type { Layer } from "./layout.ts";

/** Why another program does something else, and what: it refuses the image, takes what we refuse, or shows these `differences`. */
export type Differs = readonly [why: string, what: "refuses" | "takes" | readonly string[]];

export interface Row {
  what: string;
  /** Bottom first. */
  layers: readonly Layer[] | ((folder: string) => Promise<readonly Layer[]>);
  /** Of our own refusal, some words; the others refuse it, too, where nothing else is said. */
  refused?: string;
  podman?: Differs;
  umoci?: Differs;
}

/** Layers that are not packed. */
export const plain = (...tars: readonly Buffer[]): Layer[] => tars.map((tar) => ({ tar }));
