/**
 * A driver is one folder: outside it nothing asks which driver it is, but what the table of drivers says of it. A new one is its folder,
 * its row in that table and its line in the host's list. Read from the sources; the names are the table's.
 */
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { DRIVERS, DRIVER_NAMES } from "@xenoservers/market";

/** Where drivers go by their names; an owner's settings have a section for one. */
const HOMES = [
  ...["packages/market/src/drivers.ts", "packages/xenoserver/src/drivers/", "packages/xenoserver/src/host/drivers.ts"],
  "packages/xenoserver/src/host/config-schema.ts",
];

/** Elsewhere such a word stands as data, once. */
const AS_DATA: Readonly<Record<string, string>> = {
  "packages/sdk/src/job.ts": "the builder of WebAssembly jobs says what runs them",
  "packages/sdk/src/vm.ts": "the builder of virtual machines says what runs them",
  "packages/guests/src/qemu/machine/box.ts": "a process is called so, and is no driver",
};

const name = DRIVER_NAMES.join("|");
const word = `["'\`](?:${name})["'\`]`;
const constant = String.raw`\b(?:DEFAULT_DRIVER|VM_DRIVER|DRIVER)\b`;
const ASKS: Record<string, RegExp> = {
  "compares with a driver's name": new RegExp(`[!=]==?\\s*(?:${word}|${constant})|(?:${word}|${constant})\\s*[!=]==?`),
  "switches on a driver's name": new RegExp(`\\bcase\\s+(?:${word}|${constant})`),
  "looks for a driver's name": new RegExp(String.raw`\b(?:includes|has|get|indexOf)\(\s*(?:${word}|${constant})`),
  "takes one driver's row": new RegExp(String.raw`\bDRIVERS(?:\.(?:${name})\b|\[\s*${word})`),
  "has a list of its own by driver": new RegExp(String.raw`(?:^|\{)\s*["']?(?:${name})["']?\s*:`),
  "asks of which kind a lease's work is": /\bwork\.kind\b/,
};
const SAYS = "says a driver's name";

const isTest = (file: string): boolean => /\.test\.ts$|contract\.ts$|fixture\.ts$|\/testing\//.test(file);
const sources = readdirSync("packages", { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && /^packages\/[\w-]+\/src\b/.test(entry.parentPath))
  .map((entry) => path.join(entry.parentPath, entry.name))
  .filter((file) => !isTest(file) && !HOMES.some((home) => file.startsWith(home)));

/** Code without comments, lines kept. */
const bare = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/(^|\s)\/\/[^\n]*/g, "$1");

/** What is wrong with a file's code: what it asks of names, and every name that it says where none is data. */
function namesIn(file: string, text: string): string[] {
  const says = (line: string): boolean => !(file in AS_DATA) && new RegExp(word).test(line);
  return bare(text)
    .split("\n")
    .flatMap((line, i) => {
      const asked = Object.entries(ASKS).flatMap(([what, pattern]) => (pattern.test(line) ? [what] : []));
      return [...asked, ...(asked.length === 0 && says(line) ? [SAYS] : [])].map((what) => `${file}:${i + 1} ${what}`);
    });
}

it("are asked for by what they can, not by their names", () => {
  expect(sources.length).toBeGreaterThan(100);
  expect(
    sources.flatMap((file) => namesIn(file, readFileSync(file, "utf8"))),
    "ask the table of drivers (packages/market/src/drivers.ts), or move what only one driver needs into its folder",
  ).toEqual([]);
  for (const [file, why] of Object.entries(AS_DATA)) {
    expect(sources).toContain(file);
    expect(bare(readFileSync(file, "utf8")).match(new RegExp(word, "g")), `${file} (${why})`).toHaveLength(1);
  }
});

it("have a folder each, and a first choice among their assurances for a referee", () => {
  for (const driver of DRIVER_NAMES) {
    expect(readdirSync("packages/xenoserver/src/drivers")).toContain(driver);
    const { assurances, alikeUnder } = DRIVERS[driver];
    expect(assurances, driver).toEqual(expect.arrayContaining([...alikeUnder]));
  }
});

it.each([
  ['if (order.driver === "qemu") return;', "compares with a driver's name"],
  ['return "wasm" !== driver;', "compares with a driver's name"],
  ["const vm = driver === VM_DRIVER;", "compares with a driver's name"],
  ['    case "wasm":', "switches on a driver's name"],
  ['if (offer.drivers.includes("qemu")) return;', "looks for a driver's name"],
  ["const { can } = DRIVERS.qemu;", "takes one driver's row"],
  ['const { can } = DRIVERS["wasm"];', "takes one driver's row"],
  ["  qemu: () => machine(),", "has a list of its own by driver"],
  ['return { wasm: "job", other: "vm" }[driver];', "has a list of its own by driver"],
  ['if (job.work.kind !== "machine") return job;', "asks of which kind a lease's work is"],
  ['return { driver: "qemu" };', SAYS],
])("are seen in %j", (line, what) => {
  expect(namesIn("packages/cli/src/some.ts", line)).toEqual([`packages/cli/src/some.ts:1 ${what}`]);
});

it.each([
  "if (DRIVERS[order.driver].can.console) return;",
  "return { driver: DEFAULT_DRIVER };",
  'const image = "debian:12"; // driver === "qemu"',
  'const qemu = await import("./qemu/machine.ts");',
  "async function open(folder: string, qemu: HostState): Promise<void> {}",
  "const { qemu } = hosts;",
])("are not seen in %j", (line) => {
  expect(namesIn("packages/cli/src/some.ts", line)).toEqual([]);
});
