import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { quoteInput, type WorkInput } from "./verbs/run.ts";
import { workOf } from "./work.ts";
import { SMALLEST_MODULE } from "../../../../test/support/smallest-module.ts";

let folder: string;
let module: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-work-"));
  module = path.join(folder, "job.wasm");
  await writeFile(module, SMALLEST_MODULE);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What was typed after `xeno run`. */
function typed(...argv: string[]): WorkInput {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  quoteInput.declare(command);
  command.action(() => {});
  command.parse(argv, { from: "user" });
  return quoteInput.read(command);
}

const GIGA = 10n ** 9n;

describe("what is said of a job before it is quoted", () => {
  const said = async (...words: string[]) => (await workOf(typed(...words))).says;

  it("is that a file named to it is one of this machine, where none comes with it", async () => {
    const line = ["files    package.json is there on this machine, and not for the job: --dir . brings this folder in"];
    expect(await said(module, "--", "-x", "no-such-file", "package.json", "README.md")).toEqual(line);
    expect(await said("--", "python3", "-m", "json.tool", "package.json")).toEqual([expect.stringMatching(/^python/), ...line]);
  });

  it("is nothing where files come with it, or words name none of this folder's", async () => {
    expect(await said("--dir", folder, module, "package.json")).toEqual([]);
    expect(await said("--in", folder, module, "package.json")).toEqual([]);
    expect(await said(module, "--", "/etc/passwd", "--config=package.json", "")).toEqual([]);
  });
});

describe("what is wanted of the market", () => {
  it("is little where little was said", async () => {
    const { wanted, module: parsed } = await workOf(typed(module));
    expect(parsed).not.toBeNull();
    expect(wanted).toEqual({
      ...{
        resources: { vcpu: 1, memoryMib: 512, diskMib: 256 },
        conditions: [],
        terms: "on-result",
        assurance: "isolated",
        on: "market",
        label: "",
      },
      ...{ maxPriceNanosPerHour: null, durationMsMax: 3_600_000, fuelMax: 6_100n * GIGA, budgetNanos: 10n ** 9n },
    });
  });

  it.each<[string[], bigint]>([
    [["--max-time", "1m"], 700n * GIGA],
    [["--max-time", "2h"], 72_100n * GIGA],
    [["--max-time", "2h", "--max-fuel", "7"], 7n * GIGA],
  ])("is as much work as its longest time counts, where that is said: %j", async (words, fuel) => {
    expect((await workOf(typed(module, ...words))).wanted.fuelMax).toBe(fuel);
  });

  it("is no order of no time", async () => {
    await expect(workOf(typed(module, "--max-time", "0m"))).rejects.toThrow("--max-time is nothing");
  });

  it("is bound by its time alone where it is paid by it: its fuel holds nothing, and lease extend would not move it", async () => {
    for (const words of [[], ["--max-time", "1m"]])
      expect((await workOf(typed(module, "--pay", "by-interval", ...words))).wanted.fuelMax).toBe(10n ** 14n);
  });

  it("is what was said, and no more", async () => {
    const limits = [
      "--budget",
      "0.5",
      "--max-price",
      "2",
      "--max-time",
      "10m",
      "--max-fuel",
      "7",
      "--max-fee",
      "2.5%",
      "--mem",
      "1G",
      "--cpu",
      "2",
    ];
    const { wanted } = await workOf(
      typed(module, ...limits, "--on", "mine", "--where", "region=eu", "--batch", "b".repeat(64), "--label", "l", "--replicas", "3"),
    );
    expect(wanted).toMatchObject({
      ...{
        budgetNanos: 500_000_000n,
        maxPriceNanosPerHour: 2_000_000_000n,
        durationMsMax: 600_000,
        fuelMax: 7_000_000_000n,
        feeBasisPointsMax: 250,
      },
      ...{
        resources: { vcpu: 2, memoryMib: 1_024 },
        on: "mine",
        conditions: [{ key: "region", op: "=", value: "eu" }],
        batch: "b".repeat(64),
        label: "l",
      },
      ...{ replicas: 3, assurance: "replicated" },
    });
  });

  it.each([["--screen"], ["--windows"]])("is a server that has screens, and memory for one, with %s", async (option) => {
    const { wanted, build } = await workOf(typed("--iso", module, option));
    expect(wanted.conditions).toEqual([{ key: "label.screen", op: "=", value: "vnc" }]);
    expect(wanted.resources.memoryMib).toBe(512 + 64 + 64);
    expect(build({ engine: "e", vmEngine: "q" })).toMatchObject({ spec: { screen: true } });
    const without = await workOf(typed("--iso", module));
    expect(without.wanted).toMatchObject({ conditions: [], resources: { memoryMib: 512 + 64 } });
    expect(without.build({ engine: "e", vmEngine: "q" })).not.toHaveProperty("spec.screen");
  });

  it.each<[string, string[], RegExp]>([
    ["nothing to run", [], /say what to run/],
    ["a file that is not there", ["gone.wasm"], /there is no file gone.wasm/],
    ["an audit of replicas", ["x.wasm", "--replicas", "2", "--audit"], /--audit is for one server/],
    ["a deterministic machine of a module", ["x.wasm", "--assurance", "deterministic-vm"], /a module is deterministic by itself/],
    ["a medium that nobody says is one", ["x.iso"], /write --disk 20G --screen --iso \S+x.iso$/],
    ["a disk that nobody says is one", ["x.qcow2"], /write --vm \S+x.qcow2$/],
    ["a screen of a microvm", ["--kernel", "x.wasm", "--machine", "microvm", "--screen"], /no graphics card|the kernel is none/],
    ["a screen of a module", ["x.wasm", "--screen"], /--screen is for/],
    ["a module's firmware", ["x.wasm", "--uefi"], /--uefi is for machines/],
    ["a script's TPM", ["x.py", "--tpm"], /--tpm is for machines/],
    ["a module's kind of machine", ["x.wasm", "--machine", "q35"], /--machine is for machines/],
    ["a module's network", ["x.wasm", "--network"], /--network is for machines/],
    ["what a module may reach", ["x.wasm", "--egress", "deb.example"], /--egress is for machines/],
    ["a script's name in a network", ["x.py", "--hostname", "h"], /--hostname is for machines/],
    ["a condition that cannot be read", ["x.wasm", "--where", "cpu=>2"], /--where 'cpu=>2'/],
    ["a module that Python has not", ["--", "python3", "-mcount_it"], /^python3 -mcount_it imports count_it, /],
    [
      "a module that Python has not, behind an option",
      ["--", "python3", "-Xcpu_count=1", "-um", "count"],
      /^python3 -Xcpu_count=1 -um count imports /,
    ],
    ["code that imports what Python has not", ["--", "python3", "-uc", "import count_it"], /^python3 -c imports count_it, /],
    ["too many vCPUs", ["x.wasm", "--cpu", "2000"], /from 1 to 1024|there is no file/],
  ])("is refused in words: %s", async (_, argv, why) => {
    for (const name of ["x.iso", "x.qcow2"]) await writeFile(path.join(folder, name), "");
    const here: Record<string, string> = { "x.wasm": module, "x.iso": path.join(folder, "x.iso"), "x.qcow2": path.join(folder, "x.qcow2") };
    const words = argv.map((each) => here[each] ?? each);
    await expect((async () => workOf(typed(...words)))()).rejects.toThrow(why);
  });
});
