import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { joinTerminal, windowOf } from "./typing.ts";

/** `columns` null: no terminal. */
const stream = (columns: number | null): NodeJS.WriteStream =>
  Object.assign(
    new EventEmitter(),
    columns === null ? { isTTY: false } : { isTTY: true, columns, rows: 7 },
  ) as unknown as NodeJS.WriteStream;
const streams = (stdout: number | null, stderr: number | null): Parameters<typeof windowOf>[0] & { stderr: NodeJS.WriteStream } =>
  ({ stdin: { isTTY: false }, stdout: stream(stdout), stderr: stream(stderr) }) as unknown as ReturnType<typeof streams>;

it("a program's window is as large as the terminal here, also where what it prints goes to a file (WSL#10701)", () => {
  expect(windowOf(streams(100, 90))).toEqual({ columns: 100, rows: 7 });
  expect(windowOf(streams(null, 90))).toEqual({ columns: 90, rows: 7 });
  expect(windowOf(streams(null, null))).toEqual({ columns: 80, rows: 24 });
});

it("follows that terminal, until it is undone", () => {
  const here = streams(null, 90);
  const sizes: unknown[] = [];
  const undo = joinTerminal({ resize: (size) => void sizes.push(size) }, here);
  Object.assign(here.stderr, { columns: 120 });
  here.stderr.emit("resize");
  undo();
  here.stderr.emit("resize");
  expect(sizes).toEqual([{ columns: 120, rows: 7 }]);
});
