/** What a page cannot do, in words: its bundle and its machine have no part of it. */
import { InputError } from "../errors.ts";

export const notHere = (what: string): InputError =>
  new InputError(
    `${what} is for a program on Node, or the xeno command: a page runs one module or script at a time, with files that it holds itself`,
  );
