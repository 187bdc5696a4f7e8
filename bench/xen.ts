/**
 * Domains of a real Xen host, emulated, through the market: beside bare `xl` in the same dom0. Where the host cannot be made it says so and
 * measures nothing.
 */
import { until } from "../test/process/market.ts";
import { DATA, ServedDom0 } from "../test/xen/served-dom0.ts";
import { domain } from "../test/xen/support.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const ROUNDS = 3;
const BUSY_SECONDS = 60;
/** Of the processor, beside two that weigh half as much. */
const SHARE = 0.5;
const BARE = "/srv/bare";

/** The guest of every row: said when its first program runs. */
const guest = (then: string) => domain(`echo ready; ${then}`, { kernel: "vmlinux" });

type Rented = Awaited<ReturnType<ServedDom0["rent"]>>;

async function rented(dom0: ServedDom0, then: string): Promise<Rented> {
  const going = await dom0.rent(await guest(then), { budgetNanos: 10n ** 12n });
  await until(() => going.seen.stdout.includes("ready"));
  return going;
}

async function given(dom0: ServedDom0, going: Rented): Promise<void> {
  await dom0.stop(going.session.lease);
  await going.end();
  await dom0.nothingIsLeft();
}

/** What the server wrote for a lease's domain, with its files, for bare `xl` to make as often as it is asked to. */
async function kept(dom0: ServedDom0): Promise<void> {
  await dom0.sh(`mkdir -p ${BARE} && cfg=$(find ${DATA} -name domain.cfg) && cp "$cfg" ${BARE}/as-leased
    for key in kernel ramdisk; do
      cp "$(sed -n "s/^$key=\\"\\(.*\\)\\"/\\1/p" "$cfg")" ${BARE}/$key && sed -i "s|^$key=.*|$key=\\"${BARE}/$key\\"|" ${BARE}/as-leased
    done`);
}

/** Shell words: makes a bare domain of that name, and waits for its guest's first word. */
const bare = (name: string, weight: number): string => `
  sed -e '/^uuid=/d' -e 's/^name=.*/name="${name}"/' -e 's/^cpu_weight=.*/cpu_weight=${weight}/' ${BARE}/as-leased >${BARE}/${name}.cfg
  xl create -q ${BARE}/${name}.cfg >/dev/null && tty=$(xenstore-read /local/domain/$(xl domid ${name})/console/tty)
  stty raw -echo <$tty; timeout 600 grep -q -m 1 ready <$tty`;

/** In the middle, milliseconds from order and from `xl create` to the guest's first word, by turns. The first of each fills caches. */
async function starts(dom0: ServedDom0): Promise<Figure> {
  const [ours, peers]: [number[], number[]] = [[], []];
  for (let i = 0; i <= ROUNDS; i++) {
    const begun = performance.now();
    const going = await rented(dom0, "sleep 100000");
    if (i > 0) ours.push(performance.now() - begun);
    else await kept(dom0);
    await given(dom0, going);
    const took = Number(
      await dom0.sh(`begun=$(date +%s%N); ${bare("bare", 256)} && echo $((($(date +%s%N) - begun) / 1000000)); xl destroy bare`),
    );
    if (i > 0) peers.push(took);
  }
  return report(
    "order → first word of a domain's kernel and program (PV, 128 MiB)",
    quantile(ours, 0.5),
    "ms",
    { peer: "xl create, the same files", peerValue: quantile(peers, 0.5) },
    1.1,
  );
}

/** Seconds of processor that each domain has had, by its name. */
async function used(dom0: ServedDom0): Promise<Map<string, number>> {
  const lines = (await dom0.sh("xl list | awk 'NR > 2 {print $1, $NF}'")).split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([name = "", seconds]) => [name, Number(seconds)]));
}

/** A lease's domain, busy, beside two bare ones that weigh half as much each. */
async function share(dom0: ServedDom0): Promise<Figure> {
  const busy = "while :; do :; done";
  const going = await rented(dom0, busy);
  for (const name of ["busy-1", "busy-2"]) await dom0.sh(bare(name, 128));
  const before = await used(dom0);
  await dom0.sh(`sleep ${BUSY_SECONDS}`);
  const after = await used(dom0);
  const took = [...after].map(([name, seconds]) => ({ name, seconds: seconds - (before.get(name) ?? 0) }));
  const all = took.reduce((sum, { seconds }) => sum + seconds, 0);
  const own = took.filter(({ name }) => name.startsWith("xeno-")).reduce((sum, { seconds }) => sum + seconds, 0);
  await dom0.sh("xl destroy busy-1; xl destroy busy-2");
  await given(dom0, going);
  return report(
    "a busy domain's processor time beside two busy others, off its share",
    (Math.abs(own / all - SHARE) / SHARE) * 100,
    "%",
    null,
    4,
  );
}

export async function xen(): Promise<Figure[]> {
  let dom0: ServedDom0;
  try {
    dom0 = await ServedDom0.start();
  } catch (error) {
    console.error(`SKIPPED: no Xen host can be measured here: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
  try {
    await dom0.serve();
    return [await starts(dom0), await share(dom0)];
  } finally {
    await dom0.close();
  }
}
