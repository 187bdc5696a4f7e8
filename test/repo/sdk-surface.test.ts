/** What the SDK's object promises to programs: its names, which only change on purpose, each with words of its own, and its page. */
import { readFileSync } from "node:fs";
import path from "node:path";
import * as sdk from "@xenoservers/sdk";
import { expect, it } from "vitest";

/** By the file that declares them; most are types, which leave nothing to ask at run time. */
const SURFACE: Readonly<Record<string, readonly string[]>> = {
  "node/market.ts": ["Market", "ConnectOptions", "TracedDispute", "VerifyOptions"],
  "page/market.ts": ["Market", "ConnectOptions"],
  "page/machines.ts": ["Market"],
  "page/machine.ts": ["Machine"],
  "guest/web-program.ts": ["WebProgram"],
  "node/login.ts": ["LoggedIn", "LoginOptions", "ShownMarket"],
  "node/key-backup.ts": ["Restored"],
  "node/export.ts": ["Exported", "ExportOptions"],
  "node/keys.ts": ["Keys", "Rotated"],
  "node/appeal.ts": ["Appeal", "AppealOptions", "AppealTerms"],
  "node/rerun.ts": ["JobTracer", "Rerun"],
  "module-check.ts": ["ModuleCheck", "plainCheck"],
  "node/machine/machine.ts": ["Machine"],
  "machine/any-machine.ts": ["ExecResult", "ProgramOptions", "StartOptions"],
  "guest/web-streams.ts": ["ByteStreams"],
  "given-bytes.ts": ["Given", "HeldBytes"],
  "node/machine/machine-files.ts": ["MachineFiles"],
  "node/machine/port-forward.ts": ["PortForward"],
  "facade/market.ts": ["OpenMarket", "Callable", "Found", "SearchOptions"],
  "facade/tokens.ts": ["KeyView", "Token", "TokenOptions"],
  "facade/wallet.ts": ["Balances", "BatchOptions", "StatementEntry", "Wallet"],
  "facade/lease-acts.ts": ["Answer", "Extended", "ObjectionOptions", "ObjectionTerms", "StopOptions"],
  "replicas.ts": ["ReplicasWatch", "Compared"],
  "facade/job.ts": ["Job"],
  "facade/job-result.ts": ["JobResult", "Bill"],
  "facade/replicated-job.ts": ["ReplicatedJob", "ReplicasInput", "ReplicasResult", "ReplicasWatching", "Replica"],
  "facade/doubting.ts": ["Audited", "Dispute", "DisputeOptions"],
  "audits.ts": ["Audit"],
  "facade/job-files.ts": ["JobFile"],
  "facade/output.ts": ["Output", "Chunk"],
  "facade/map/map-run.ts": ["MapRun"],
  "facade/map/options.ts": ["MapOptions", "MapProgress", "Mapped"],
  "facade/prepared-run.ts": ["PreparedRun"],
  "facade/ordering.ts": ["PlannedOptions"],
  "facade/here.ts": ["Planned"],
  "facade/run-input.ts": ["RunInput", "FileContent", "Watching"],
  "errors.ts": [
    ...["MarketError", "InputError", "ContextError", "KeptError", "AbortedError", "GivenUpError", "NotStartedError", "StalledError"],
    ...[
      "LeftOpenError",
      "ReplicasGivenUpError",
      "BrokenWordError",
      "NotComparedError",
      "RefusedError",
      "MoneyEffect",
      "SdkCode",
      "SDK_CODES",
    ],
  ],
  "purchase-order.ts": ["BrokenPurchaseOrder"],
  "session/fetches.ts": ["NotDelivered"],
};

const read = (file: string): string => readFileSync(path.join("packages/sdk/src", file), "utf8");
const index = read("index.ts") + read("common.ts") + read("browser.ts") + read("page/machines.ts");
const page = readFileSync("docs/sdk.md", "utf8");
const declared = (name: string): RegExp => new RegExp(`^export (?:declare )?(?:abstract )?(?:class|interface|type|const) ${name}\\b`, "m");

it("is exported, and each name says what it is", () => {
  const wrong = Object.entries(SURFACE).flatMap(([file, names]) => {
    const text = read(file);
    return names.filter((name) => {
      const at = text.search(declared(name));
      return at < 0 || !text.slice(0, at).trimEnd().endsWith("*/") || !new RegExp(`\\b${name}\\b`).test(index);
    });
  });
  expect(wrong).toEqual([]);
});

it("has words on every method and property that a program calls", () => {
  const classes = [
    "node/market.ts",
    "page/market.ts",
    "page/machines.ts",
    "page/machine.ts",
    "machine/any-machine.ts",
    "machine/machine-files.ts",
    "guest/web-program.ts",
    "node/machine/machine.ts",
    "node/machine/machine-files.ts",
    "facade/market.ts",
    "facade/job.ts",
    "facade/replicated-job.ts",
    "facade/tokens.ts",
    "facade/wallet.ts",
    "node/keys.ts",
  ];
  const bare = [...classes, "facade/output.ts"].flatMap((file) => {
    const text = read(file);
    const inClass = text.slice(text.search(/^export class/m));
    const members = inClass.matchAll(/^ {2}(?!constructor|protected|#|\[)(?:(?:async|static|get|readonly) )*(\w+)(?:[(:<]|\? ?:)/gm);
    return [...members].filter(({ index: at }) => !inClass.slice(0, at).trimEnd().endsWith("*/")).map(([, name = ""]) => `${file} ${name}`);
  });
  expect(bare).toEqual([]);
});

it("has a page that names every code, every class of errors, every way of a job, and what a run takes", () => {
  const codes = Object.keys(sdk.SDK_CODES);
  const errors = [...(SURFACE["errors.ts"] ?? []), "BrokenPurchaseOrder", "NotDelivered"].filter((name) => name.endsWith("Error"));
  const keys = [...read("facade/read-input.ts").matchAll(/^ {2}(\w+): (?:[A-Z]+|oneOf|\[)/gm)].map(([, name = ""]) => name);
  expect(keys.length).toBeGreaterThan(40);
  // those of machines have the names and words of the command line's page
  const shared = [
    "python",
    "module",
    "image",
    "vm",
    "iso",
    "kernel",
    "args",
    "env",
    "files",
    "in",
    "dir",
    "stdin",
    "out",
    "budget",
    "signal",
  ];
  expect(shared.filter((key) => !keys.includes(key))).toEqual([]);
  const flagOf = (key: string): string => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const customers = readFileSync("docs/customer.md", "utf8") + readFileSync("packages/cli/src/input/verbs/run.ts", "utf8");
  expect(keys.filter((key) => !page.includes(`\`${key}\``) && !customers.includes(flagOf(key)))).toEqual([]);
  expect([...codes, ...errors].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

it("is found on the disk and in the environment as the page says", () => {
  for (const name of ["XENO_HOME", "XENO_TOKEN", "XENO_CONTEXT"]) {
    expect(page).toContain(`\`${name}\``);
    expect(read("node/home.ts") + read("node/contexts.ts")).toContain(name);
  }
});

it("has a core that a browser could load: no import of Node's", () => {
  for (const file of Object.keys(SURFACE).filter((name) => name.startsWith("facade/"))) expect(read(file), file).not.toMatch(/from "node:/);
});
