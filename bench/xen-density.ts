/**
 * How many live domains of one image a real Xen host holds, emulated: leased through the market until no offer fits, and made by bare `xl`
 * until it fails, with the same files. Each stands by, as most machines do. Where the host cannot be made it says so and measures nothing.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { RefusedError, fileBlob, type BuiltVm } from "@xenoservers/sdk";
import { smallKernel } from "../packages/guests/src/xen/trial-kernel.ts";
import { ServedDom0 } from "../test/xen/served-dom0.ts";
import { until } from "../test/xen/waiting.ts";
import { machine } from "../test/vm/support.ts";
import { report, type Figure } from "./lib/report.ts";
import { BARE, kept } from "./xen.ts";

/** Memory is what there is least of: there are more processors than domains that fit. */
const [MEMORY_MIB, PROCESSORS] = [640, 6];
/** A PV kernel that waits for an event that never comes: SCHEDOP_block (29, 1), again and again. */
const WAITS = Buffer.from("b81d000000bf0100000031f60f05ebf0", "hex");

async function image(folder: string): Promise<BuiltVm> {
  const file = path.join(folder, "waits");
  await writeFile(file, smallKernel(WAITS));
  const blob = await fileBlob(file);
  const vm = { kind: "kernel", kernel: blob.digest, initrd: null, append: "" } as const;
  return machine({ vm, blobs: [blob], memoryMib: MEMORY_MIB, driver: "xen" });
}

/** So many run at once; the first of them has shown what bare `xl` makes them of. */
async function leased(dom0: ServedDom0, job: BuiltVm): Promise<number> {
  const going: Awaited<ReturnType<ServedDom0["rent"]>>[] = [];
  for (;;) {
    const next = await dom0.rent(job).catch((error: unknown) => {
      if (going.length === 0 || !(error instanceof RefusedError) || error.code !== "busy") throw error;
      return null;
    });
    if (!next) break;
    going.push(next);
    await until(() => next.seen.states.includes("running"));
    if (going.length === 1) await kept(dom0);
  }
  const count = (await dom0.domains()).split("\n").length;
  await Promise.all(going.map(({ session }) => dom0.stop(session.lease)));
  await Promise.all(going.map((each) => each.end()));
  await dom0.nothingIsLeft();
  return count;
}

/** As many as `xl create` makes. */
async function made(dom0: ServedDom0): Promise<number> {
  const count = await dom0.sh(`cd ${BARE}; n=0; while
      sed -e '/^uuid=/d' -e "s/^name=.*/name=\\"bare$n\\"/" as-leased >bare.cfg; xl create -q bare.cfg >/dev/null 2>&1; do n=$((n + 1)); done
    echo $n; for each in $(xl list | awk 'NR > 2 {print $1}'); do xl destroy $each; done`);
  return Number(count);
}

export async function xenDensity(): Promise<Figure[]> {
  let dom0: ServedDom0;
  try {
    dom0 = await ServedDom0.start({ processors: PROCESSORS });
  } catch (error) {
    console.error(`SKIPPED: no Xen host can be measured here: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
  try {
    await dom0.serve();
    const ours = await leased(dom0, await image(dom0.folder));
    const name = `live domains of ${MEMORY_MIB} MiB of one image on a host of 4 GiB that bare xl makes, for each that is leased`;
    return [report(name, await made(dom0), "", { peer: "leased", peerValue: ours }, 1)];
  } finally {
    await dom0.close();
  }
}
