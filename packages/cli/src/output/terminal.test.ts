/** Whatever another party calls its things, no verb lets a terminal obey it. */
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { refuse } from "@xenoservers/protocol";
import { RefusedError } from "@xenoservers/sdk";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { program } from "../program.ts";
import { showLines } from "../verbs/lease-show.ts";
import { keyTable } from "./key-table.ts";
import { endLine } from "./lease-lines.ts";
import { sayOver } from "./over.ts";
import { reportError } from "./report.ts";
import { showState } from "./shown.ts";
import { bold, logLines, print, printJson, printJsonList, red, say, showRaw } from "./terminal.ts";
import { UserError, table } from "./ui.ts";
import { showVerification } from "./verification.ts";

const HOSTILE = "\u001B]52;c;cm0=\u0007\u009B2J\u202Egnp\r\nproved \u2028\u007F";
/** Beside the line ends of this program itself. */
const OBEYED = /[^\n\P{Cc}]|[\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/u;

let said: Record<"stdout" | "stderr", string>;
beforeEach(() => {
  said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      said[stream] += String(text);
      return true;
    });
});
afterEach(() => void vi.restoreAllMocks());

const lines = (): string[] => `${said.stdout}${said.stderr}`.split("\n").slice(0, -1);

describe("another party's text", () => {
  const market = new PaperMarket(new Random(1));
  const server = market.server(market.party("olga"));
  const po = market.purchaseOrder(market.order(market.party("carl")), server, market.offer(server));
  const lease = market.view(po, { label: HOSTILE });
  const key = { key: "1".repeat(64), role: "root" as const, scopes: [], account: null, leaseLabel: HOSTILE };
  const keyView = { ...key, label: HOSTILE, expiresAt: null, revokedAt: null, maxSpendPerDayNanos: null };
  const line = { status: "claimed" as const, check: HOSTILE, says: HOSTILE };

  it.each<[string, number, () => unknown]>([
    ["a problem of a server", 1, () => showState(`problem: ${HOSTILE}`)],
    ["a label of a lease", showLines(lease, "credits").length, () => print(...showLines(lease, "credits"))],
    ["a currency", 1, () => say(endLine(market.view(po, { state: "settled", end: market.end(po, {}) }), HOSTILE))],
    ["labels in a table", 2, () => keyTable([keyView as never], "", HOSTILE)],
    ["any cell", 2, () => table(["name"], [[HOSTILE]])],
    ["a line of a receipt", 2, () => showVerification({ ok: true, lines: [line] }, HOSTILE, { json: false, explain: true })],
    ["a receipt as JSON", 1, () => showVerification({ ok: true, lines: [line] }, HOSTILE, { json: true, explain: true })],
    [
      "a refusal's facts",
      4,
      () => reportError(new RefusedError(refuse("no_match", { explanation: HOSTILE, why: HOSTILE, more: HOSTILE })), false),
    ],
    ["a refusal as JSON", 1, () => reportError(new RefusedError(refuse("no_match", { why: HOSTILE })), true)],
    ["an error that quotes it", 1, () => reportError(new UserError(HOSTILE), false)],
    ["what was typed", 2, async () => (await program()).parseAsync([HOSTILE.replace("\n", "")], { from: "user" }).catch(() => null)],
    ["a log", 1, () => logLines.write(`${JSON.stringify({ why: HOSTILE })}\n`)],
  ])("is shown and not obeyed: %s", async (_, count, show) => {
    await show();
    expect(lines().join("\n")).not.toMatch(OBEYED);
    // nor does it make a line of its own
    expect(lines()).toHaveLength(count);
    expect(lines().join("\n")).toContain("u001b]52;c;cm0=");
  });

  it("reads as JSON what was there", () => {
    printJson({ why: HOSTILE });
    expect(JSON.parse(said.stdout)).toEqual({ why: HOSTILE });
  });
});

it("begins no list that cannot be read at all", async () => {
  const refused = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("no broker")) }) };
  await expect(printJsonList({}, "leases", refused, () => ({}))).rejects.toThrow("no broker");
  expect(said.stdout).toBe("");
});

it("a job's own output goes as it is", () => {
  showRaw("stdout", HOSTILE);
  expect(said.stdout).toBe(HOSTILE);
});

it("colours are this program's own", () => {
  vi.stubEnv("NO_COLOR", undefined);
  const isTTY = [process.stdout.isTTY, process.stderr.isTTY] as const;
  Object.assign(process.stdout, { isTTY: false });
  Object.assign(process.stderr, { isTTY: true });
  try {
    say(red(`their \u001B[32mgreen ${bold("ours")}`));
    expect(said.stderr).toBe("\u001B[31mtheir \\u001b[32mgreen \u001B[1mours\u001B[0m\u001B[0m\n");
    print(red("none into a file"));
    expect(said.stdout).toBe("none into a file\n");
  } finally {
    Object.assign(process.stdout, { isTTY: isTTY[0] });
    Object.assign(process.stderr, { isTTY: isTTY[1] });
    vi.unstubAllEnvs();
  }
});

it("a line that stands is whole on a terminal that says that it has no columns", () => {
  const { isTTY, columns } = process.stderr;
  try {
    Object.assign(process.stderr, { isTTY: true, columns: 0 });
    sayOver("3/3 done");
    Object.assign(process.stderr, { columns: 5 });
    sayOver("3/3 done");
    expect(said.stderr).toBe("\r\u001B[K3/3 done\r\u001B[K3/3 ");
  } finally {
    Object.assign(process.stderr, { isTTY, columns });
  }
});

describe("this program's code", () => {
  const source = path.join(import.meta.dirname, "..");
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter(({ name }) => /(?<!\.test|\.fixture)\.ts$/.test(name))
    .map((entry) => path.relative(source, path.join(entry.parentPath, entry.name)));

  it("writes on terminals by output/terminal.ts alone", () => {
    const writes = /process\s*(?:\.std(?:out|err)|\[\w+\])\s*\.write|console\.\w+\(|writeSync\([12],|destination\(\{ dest: [12]/;
    const found = files.filter((file) => writes.test(readFileSync(path.join(source, file), "utf8")));
    expect(found).toEqual(["output/terminal.ts"]);
  });

  it("lets only a job's bytes go as they are", () => {
    const raw = files.filter((file) => /\bshowRaw\b/.test(readFileSync(path.join(source, file), "utf8"))).sort();
    expect(raw).toEqual([
      "demo/story.ts",
      "local/local-run.ts",
      "output/shown.ts",
      "output/terminal.ts",
      ...["console", "cp", "exec", "lease-result", "map", "run-by-lease", "run-replicas", "run-reused"].map((verb) => `verbs/${verb}.ts`),
    ]);
  });
});
