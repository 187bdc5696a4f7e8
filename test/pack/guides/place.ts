/** What becomes of each thing that a page tells its reader to do. */
import type { Guest } from "./guest.ts";

interface Typed {
  /** What it says, on stdout or stderr. */
  says?: RegExp;
  /** What is answered when it asks; it has a terminal then. */
  answers?: string;
  /** It goes on, until the page is over: what it says once it does what it is for. */
  serves?: RegExp;
  /** What a person has done when it is over: outside of the product. */
  after?: (guest: Guest) => Promise<void>;
}

/** A file, or a program of the reader's own: what is done with its text. */
interface Done {
  with(guest: Guest, text: string): Promise<void>;
}

/** It is not run, for this reason. */
interface Left {
  left: string;
}

export type Place = Typed | Done | Left;

export interface Page {
  /** In the page's words, and what stands for it here. */
  means: Readonly<Record<string, string | ((guest: Guest) => string | Promise<string>)>>;
  /** Files that the reader has. */
  has: Readonly<Record<string, string>>;
  /** Everything that the page tells, in its order. */
  places: readonly (readonly [name: string, place: Place])[];
}
