/** What a person is told to do, beside what the table of codes says. */
import { refuse } from "@xenoservers/protocol";
import { BrokenWordError, RefusedError } from "@xenoservers/sdk";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { Fallen } from "./fallen.tsx";
import { Problem, Unread } from "./problem.tsx";

const html = (error: unknown, isRead: boolean): string => renderToStaticMarkup(createElement(Problem, { error, what: "It", isRead }));
const unread = (value: unknown, error: unknown): string =>
  renderToStaticMarkup(createElement(Unread, { reading: { value, error }, what: "It" }));

it("is where another key is given, where this one is over", () => {
  for (const code of ["key_revoked", "key_expired"] as const)
    expect(html(new RefusedError(refuse(code)), true), code).toContain('href="#/enter"');
  expect(html(new RefusedError(refuse("unavailable")), true)).not.toContain("#/enter");
});

it("is to load the page anew where an answer cannot be read, and not where the market's keys are others", () => {
  expect(html(new BrokenWordError("odd"), true)).toContain("load this page anew");
  expect(html(new BrokenWordError("odd"), false)).not.toContain("load this page anew");
});

it("is nothing where what came last is shown and the broker is away for a while", () => {
  const away = new RefusedError(refuse("unavailable"));
  expect(unread({}, away)).toMatch(/^<p class="old" role="status">It: unavailable: .*it is asked for again by itself/);
  expect(unread(null, away)).toContain('role="alert"');
  expect(unread({}, new RefusedError(refuse("key_revoked")))).toContain('role="alert"');
  expect(unread({}, null)).toBe("");
});

it("is to begin anew where a view has failed", () => {
  const fallen = new Fallen({ children: "the page" });
  expect(fallen.render()).toBe("the page");
  fallen.state = Fallen.getDerivedStateFromError(new TypeError("x is undefined"));
  expect(renderToStaticMarkup(fallen.render() as never)).toMatch(/x is undefined.*Begin anew/);
});
