/** The list of targets is total: what reads bytes or text of others is played by one of them, or no stranger reaches it. */
import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { TARGETS } from "./targets/index.ts";

const READS = /^export (?:async )?(?:function\*?|const) ((?:parse|read|decode|unpack|verify)\w*)/gm;

/** Why no stranger reaches them, or what plays them though their name is not among a target's. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  "reads what this program wrote into a folder of its own": [
    ...["sdk/src/node/contexts.ts#readContexts", "sdk/src/node/kept-job.ts#readKeptJob", "sdk/src/node/kept-job.ts#readKeptVm"],
    ...[
      "guests/src/json.ts#parseOwn",
      "guests/src/qemu/machine/written-end.ts#readEnd",
      "guests/src/xen/domain-end.ts#readDomainEnd",
      "xenoserver/src/lease/kept-work.ts#readKeptWork",
    ],
    ...["xenocorp/src/broker-keys.ts#readBrokerKeys", "xenocorp/src/store/settings.ts#readSetting", "xenocorp/src/desk/fees.ts#readFees"],
    ...["xenocorp/src/archive/archive-files.ts#unpackedLine", "xenocorp/src/archive/row-files.ts#readRowsIn"], // by the digests in its database
    ...["xenoserver/src/drivers/qemu/egress-log.ts#readEgressLog", "xenoserver/src/host/machine-identity.ts#readIdentity"],
  ],
  "passes bytes on as they are": [
    ...["engine/src/wasi/file-bytes.ts#readBytes", "guests/src/guest-files.ts#readGuestFile", "guests/src/qemu/machine/vm.ts#readVmStream"],
    ...["guests/src/worker/files.ts#readWhole", "sdk/src/tree.ts#readAt", "xenocorp/src/http/body.ts#readBody"],
    ...["xenoserver/src/host/config.ts#readServerConfig", "protocol/src/files.ts#readIfThere"],
    ...["protocol/src/settings-file.ts#readSettings", "xenoserver/src/drivers/xapi/pool-console.ts#readFrom"],
  ],
  "reads folders and words of whoever runs it": [
    ...["sdk/src/node/program-job.ts#parseJob", "sdk/src/machine/machine-job.ts#parseVm", "sdk/src/tree.ts#readTree"],
    ...["guests/src/qemu/network/addresses.ts#parseRanges", "cli/src/input/parse.ts#parseHostPort"],
    ...["cli/src/input/parse.ts#parseMoveTarget", "xenoserver/src/move/move-port.ts#parseHostPort"],
    ...["cli/src/input/parse.ts#parseLease", "cli/src/input/parse.ts#parseParty", "cli/src/input/parse.ts#parseServer"],
    "cli/src/input/parse.ts#parseLeaseOrFile",
    ...["cli/src/input/parse.ts#parseBatch", "cli/src/input/parse.ts#parseLabel"],
    ...["cli/src/input/parse.ts#parseLeases", "cli/src/input/map-array.ts#parseArray"],
    ...["market/src/duration.ts#parseDuration", "sdk/src/oci/registries-conf.ts#readRegistriesConf"],
  ],
  "is played by receipt, evidence and document, which call it or what it calls": [
    ...["sdk/src/node/kept-receipt.ts#readReceipt", "sdk/src/node/broken-order.ts#verifyKept", "cli/src/verbs/verify.ts#verify"],
    ...["protocol/src/documents/signer.ts#verifySigner", "protocol/src/documents/signer.ts#verifyDocument"],
    ...["protocol/src/documents/signer.ts#verifyDocumentOf", "cli/src/proof/verify-archive.ts#verifyArchive"],
  ],
  "is played by returned-tree, which reads the archive that it brings": [
    ...["xenoserver/src/drivers/xapi/pool-result.ts#readResult", "guests/src/qemu/oci/job-port.ts#readAnswer"],
  ],
  "is played by packed-layer, whose streams it writes to a file": ["guests/src/qemu/oci/decompress.ts#unpack"],
  "reads answers by the schemas of the API's table": [
    ...["dashboard/src/public-reads.ts#readPublic", "sdk/src/receipt.ts#readPart", "sdk/src/receipt.ts#readDocuments"],
  ],
  "starts programs of the system, which read the bytes": ["sdk/src/oci/unpackers-here.ts#unpackersHere"],
  "takes values that are typed and checked already": [
    ...["cli/src/input/verbs/proof.ts#verifyInput", "xenocorp/src/http/sessions.ts#readerOf"],
    "xenocorp/src/store/postgres/sql.ts#readerValues",
  ],
};

const isSource = (file: string): boolean => !/\.test\.ts$|\.d\.ts$|fixture|contract|\/testing\/|^packages\/testkit\//.test(file);
const reading = globSync("packages/*/src/**/*.{ts,tsx}")
  .filter(isSource)
  .flatMap((file) => [...readFileSync(file, "utf8").matchAll(READS)].map(([, name = ""]) => `${file.slice("packages/".length)}#${name}`));
const elsewhere = Object.values(ELSEWHERE).flat();
const covered = TARGETS.flatMap(({ covers }) => covers);

it("plays every parser, or says why no stranger reaches it", () => {
  expect(reading.length).toBeGreaterThan(50);
  expect(reading.filter((each) => !covered.includes(each) && !elsewhere.includes(each))).toEqual([]);
  expect(elsewhere.filter((each) => covered.includes(each))).toEqual([]);
});

it("names nothing that is not there", () => {
  const gone = [...elsewhere, ...covered].filter((each) => {
    const [file = "", name = ""] = each.split("#");
    return !new RegExp(`^export (?:async )?(?:function\\*?|const|class) ${name}\\b`, "m").test(readFileSync(`packages/${file}`, "utf8"));
  });
  expect(gone).toEqual([]);
});

it("calls each target by a name of its own", () => {
  expect(new Set(TARGETS.map(({ name }) => name)).size).toBe(TARGETS.length);
});
