/** What cannot be read is not taken for what is not there: keys, records and databases would be made anew over those that exist. */
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

/** Programs that keep what cannot be made again. */
const KEEPERS = ["cli", "sdk", "xenocorp", "xenoserver"];
/** Where what cannot be read is as good as absent, and why. */
const INDIFFERENT: Readonly<Record<string, string>> = {
  "sdk/src/node/zones.ts": "time zones of this machine: a script that names one that is not here is told so by Python",
  "cli/src/local/held-scratch.ts": "what others that were killed left is cleared up where it can be seen, and stays where it cannot",
  "cli/src/verbs/doctor.ts": "what the kernel allows: where it does not say, it is none",
  "sdk/src/oci/layer.ts": "a note that spares a computation",
  "xenoserver/src/lease/journal.ts": "how much there is of what others may remove meanwhile",
  "xenoserver/src/drivers/qemu/vm-snapshots.ts": "how much there is of what others may remove meanwhile",
};

const FORGIVING = /\bread(?:File|dir)\([^\n]*\)\.catch\(\(\) =>/;

it("no failed read is a new beginning", () => {
  const found = KEEPERS.flatMap((name) =>
    readdirSync(`packages/${name}/src`, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|contract\.ts$|fixture\.ts$|testing\//.test(file))
      .map((file) => path.join(name, "src", file)),
  ).filter((file) => FORGIVING.test(readFileSync(path.join("packages", file), "utf8")));
  expect(found.toSorted()).toEqual(Object.keys(INDIFFERENT).toSorted());
});
