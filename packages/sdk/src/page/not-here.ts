/** What a page cannot do, in words: its bundle and its machine have no part of it. */
import { InputError } from "../errors.ts";

export const notHere = (what: string): InputError =>
  new InputError(`${what} is for a program on Node, or the xeno command; machines: @xenoservers/sdk/machines`);

/** What a page can do whose author has it loaded. */
export const notLoaded = (what: string): InputError =>
  new InputError(`${what} is beyond what this page has loaded: hand Market { beyond } of @xenoservers/sdk/beyond`);
