/** Of which words a process is started before they are read. */
import { expect, it } from "vitest";
import { localProgram } from "./ahead.ts";

it.each([
  ["run --local x.py", "x.py"],
  ["run -q --local --mem 1G sub/x.wasm --rounds 2", "sub/x.wasm"],
  ["run --local --out o ./x.py --dry-run", "./x.py"],
  // an option of the program
  ["run x.py --local", null],
  ["run x.py --local y.py", null],
  ["run --dry-run --local x.py", null],
  ["run --local debian:12 x", null],
  ["run --local", null],
  ["map --local x.py", null],
  ["", null],
])("%j runs %j here", (typed, program) => expect(localProgram(typed.split(" "))).toBe(program));
