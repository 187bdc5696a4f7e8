/** What is shown in place of what a job prints, and when that is its text after all. */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { ContextError } from "@xenoservers/sdk";
import { expect, it } from "vitest";
import type { Followed, Standing } from "./followed.ts";
import { OutputView } from "./output-view.tsx";
import { ScreenText } from "./screen-text.ts";

function html(shown: ReactNode, over: Partial<Standing> = {}): string {
  const stdout = new ScreenText();
  stdout.add(new TextEncoder().encode("printed"));
  const standing: Standing = {
    ...{
      stdout,
      stderr: new ScreenText(),
      state: "running",
      isPaused: false,
      sent: null,
      problems: [],
      files: [],
      error: null,
      isOver: false,
      isWhole: false,
    },
    ...over,
  };
  const followed = { standing: () => standing, subscribe: () => () => {}, hasJob: false } as unknown as Followed;
  return renderToStaticMarkup(createElement(OutputView, { followed, again: () => {}, shown }));
}

it.each([null, false])(
  "what a job prints is text where %s is shown in its place: the code of machines may be there for another",
  (none) => {
    expect(html(none)).toContain("printed");
  },
);

it("a machine has its terminal in place of that", () => {
  const shown = html(createElement("b", {}, "terminal"));
  expect([shown.includes("terminal"), shown.includes("printed")]).toEqual([true, false]);
});

it("a machine that another key ordered has none: nothing in it would work", () => {
  const error = new ContextError("ordered by another of your keys");
  const shown = html(createElement("b", {}, "terminal"), { error, isOver: true, stdout: new ScreenText() });
  expect([shown.includes("terminal"), shown.includes("Another of your keys")]).toEqual([false, true]);
});
