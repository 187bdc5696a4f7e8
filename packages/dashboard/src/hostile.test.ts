/** Rows of what strangers chose, in every view that shows them: all of it is text. */
import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import type { LeaseView, OfferView, Receipt } from "@xenoservers/protocol";
import { InputError } from "@xenoservers/sdk";
import { fileNameOf } from "./downloaded.ts";
import { LeasesTable } from "./leases-table.tsx";
import { answerText } from "./machine/ports-view.tsx";
import { offerText } from "./machine/server-field.tsx";
import { OffersTable } from "./offers-view.tsx";
import { Facts, Id } from "./parts.tsx";
import { Problem } from "./problem.tsx";
import { SeveralView } from "./several-view.tsx";
import type { Several } from "./several.ts";
import { Timeline } from "./timeline.tsx";

const TEXTS = [
  '<img src=x onerror="alert(1)">',
  "<script>alert(1)</script>",
  '"><svg onload=alert(1)>',
  "javascript:alert(1)",
  "</table><iframe src=//evil.example>",
  "\u202Etxt.exe\u0007",
  "{{constructor.constructor('alert(1)')()}}",
];

const record = { leases: 1, completed: 1, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 };
// what of it is shown
const offerOf = (bad: string) =>
  ({
    ...{
      server: bad,
      offerId: bad,
      priceNanosPerHour: "1",
      drivers: [bad],
      assurances: [bad],
      labels: { [bad]: bad },
      cpuScore: 1,
      record,
    },
    free: { vcpu: 1, memoryMib: 1, diskMib: 1 },
  }) as unknown as OfferView;
const leaseOf = (bad: string) =>
  ({
    ...{ id: "ab".repeat(32), label: bad, state: "open", terms: "on-result", usedMs: 1, ratePerHourNanos: "1", holdNanos: "1" },
    ...{ issuedAt: 0, end: null },
  }) as unknown as LeaseView;
const documentOf = (bad: string) => ({ kind: bad, id: bad, at: 0, index: null }) as unknown as Receipt["documents"][number];

const severalOf = (bad: string): Several => {
  const result = { stdout: bad, stderr: bad, detail: bad, exitCode: 0, end: { reason: bad }, bill: { dueNanos: 1n } };
  const rows = [
    { name: bad, state: "over", lease: "ab".repeat(32), result, error: null },
    { name: `${bad} `, state: "failed", lease: null, result: null, error: new InputError(bad) },
  ];
  return { rows: () => rows, subscribe: () => () => {}, isOver: true } as unknown as Several;
};

const VIEWS: Readonly<Record<string, (bad: string) => ReactNode>> = {
  offers: (bad) => createElement(OffersTable, { offers: [offerOf(bad)], currency: bad }),
  leases: (bad) =>
    createElement(LeasesTable, { label: "l", leases: [leaseOf(bad)], currency: bad, now: 0, stopping: new Set<string>(), stop: () => {} }),
  timeline: (bad) => createElement(Timeline, { documents: [documentOf(bad)] }),
  "machines' servers": (bad) => createElement("option", {}, offerText({ ...offerOf(bad), accel: bad }, bad)),
  "a port's answer": (bad) => createElement("pre", {}, answerText({ bytes: new TextEncoder().encode(bad), isCut: false })),
  several: (bad) => createElement(SeveralView, { several: severalOf(bad), currency: bad, clear: () => {} }),
  problem: (bad) => createElement(Problem, { what: bad, error: new InputError(bad) }),
  facts: (bad) => createElement(Facts, { of: [[bad, createElement(Id, { of: bad })]] }),
};

describe.each(Object.keys(VIEWS))("in %s", (view) => {
  it.each(TEXTS)("%j is text", (bad) => {
    const html = renderToStaticMarkup(VIEWS[view]!(bad));
    const tags = [...html.matchAll(/<([a-z][a-z0-9]*)/gi)].map(([, tag]) => tag);
    expect(tags.filter((tag) => ["img", "script", "svg", "iframe"].includes(tag!.toLowerCase()))).toEqual([]);
    // what stands in an attribute stays in it
    expect(html.replaceAll(/"[^"]*"/g, '""')).not.toMatch(/<[^>]*\s(?:on\w+|srcdoc)=/i);
    expect([...html.matchAll(/href="([^"]*)"/g)].every(([, href]) => href!.startsWith("#/"))).toBe(true);
    if (view !== "facts") expect(["\u202E", "\u0007"].filter((each) => html.includes(each))).toEqual([]);
  });
});

it.each([
  ["a/b/c.txt", "c.txt"],
  ["../../etc/passwd", "passwd"],
  [".bashrc", "_bashrc"],
  ["a\u202Etxt.exe", "a_u202etxt.exe"],
  ["C:\\x", "C__x"],
  ["/", "file"],
])("a file called %j is saved as %j", (path, name) => {
  expect(fileNameOf(path)).toBe(name);
});
