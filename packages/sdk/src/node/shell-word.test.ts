import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { shellWord } from "./shell-word.ts";

it.each(["/home/me/demo", "", "a folder", "it's", '$HOME `x` \\ "q"', "line\nline", "*", "~", "-n"])(
  "is one word for a shell: %j",
  (text) => {
    const said = execFileSync("sh", ["-c", `printf '%s|' ${shellWord(text)}`]).toString();
    expect(said).toBe(`${text}|`);
  },
);

it("is as it was typed where it can be", () => {
  expect(shellWord("/home/me/demo-1.0")).toBe("/home/me/demo-1.0");
});
