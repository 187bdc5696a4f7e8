/** A lease's history says what it leaves out. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import type { Receipt } from "@xenoservers/protocol";
import { Timeline } from "./timeline.tsx";

const documents = ["settlement", "order"].map((kind, i) => ({ kind, id: kind, at: 9 - i, index: null })) as unknown as Receipt["documents"];
const told = (hasMore?: boolean): string => renderToStaticMarkup(createElement(Timeline, { documents, ...(hasMore ? { hasMore } : {}) }));

it("is in order, and names what the receipt alone has", () => {
  expect(told()).toMatch(/The customer orders.*The broker settles the bill.*states of its use every few seconds is in the receipt/);
  expect(told()).not.toContain("came after these");
  expect(told(true)).toContain("What came after these is in the receipt alone.");
});
