/**
 * Domains of a real Xen host, emulated, through the market: beside bare `xl` in the same dom0. Where the host cannot be made it says so and
 * measures nothing.
 */
import { until } from "../test/xen/waiting.ts";
import { DATA, ServedDom0 } from "../test/xen/served-dom0.ts";
import { domain } from "../test/xen/support.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const ROUNDS = 3;
const BUSY_SECONDS = 60;
/** Of the processor, beside two that weigh half as much. */
const SHARE = 0.5;
/** Where bare `xl` has its files. */
export const BARE = "/srv/bare";

/** The guest of every row: said when its first program runs. */
const guest = (then: string) => domain(`echo ready; ${then}`, { kernel: "vmlinux" });

/** Milliseconds until the domain runs, and until its guest's first word. */
interface Took {
  running: number;
  ready: number;
}

interface Rented {
  going: Awaited<ReturnType<ServedDom0["rent"]>>;
  /** Since the purchase order. */
  took: Took;
}

async function rented(dom0: ServedDom0, then: string): Promise<Rented> {
  const going = await dom0.rent(await guest(then), { budgetNanos: 10n ** 12n });
  const begun = performance.now();
  await until(() => going.seen.states.includes("running"));
  const running = performance.now() - begun;
  await until(() => going.seen.stdout.includes("ready"));
  return { going, took: { running, ready: performance.now() - begun } };
}

async function given(dom0: ServedDom0, { going }: Rented): Promise<void> {
  await dom0.stop(going.session.lease);
  await going.end();
  await dom0.nothingIsLeft();
}

/** What the server wrote for a lease's domain, with its files, for bare `xl` to make as often as it is asked to. */
export async function kept(dom0: ServedDom0): Promise<void> {
  await dom0.sh(`mkdir -p ${BARE} && cfg=$(ls -t $(find ${DATA} -name domain.cfg) | head -n 1) && cp "$cfg" ${BARE}/as-leased
    for key in kernel ramdisk; do
      file=$(sed -n "s/^$key=\\"\\(.*\\)\\"/\\1/p" "$cfg")
      [ -z "$file" ] || { cp "$file" ${BARE}/$key && sed -i "s|^$key=.*|$key=\\"${BARE}/$key\\"|" ${BARE}/as-leased; }
    done`);
}

const now = "$(($(date +%s%N) / 1000000))";

/** Makes a bare domain of that name, and waits for its guest's first word. */
export async function bare(dom0: ServedDom0, name: string, weight: number): Promise<Took> {
  const settings = `sed -e '/^uuid=/d' -e 's/^name=.*/name="${name}"/' -e 's/^cpu_weight=.*/cpu_weight=${weight}/' as-leased`;
  const said = await dom0.sh(`cd ${BARE}; ${settings} >${name}.cfg
    begun=${now}; xl create -q ${name}.cfg >/dev/null || exit 1; made=${now}
    tty=$(xenstore-read /local/domain/$(xl domid ${name})/console/tty); stty raw -echo <$tty
    timeout 600 grep -q -m 1 ready <$tty && echo $((made - begun)) $((${now} - begun))`);
  const [running = Number.NaN, ready = Number.NaN] = said.split(" ").map(Number);
  return { running, ready };
}

/** By turns; the first of each fills caches. */
async function starts(dom0: ServedDom0): Promise<Figure[]> {
  const [ours, peers]: [Took[], Took[]] = [[], []];
  for (let i = 0; i <= ROUNDS; i++) {
    const lease = await rented(dom0, "sleep 100000");
    if (i === 0) await kept(dom0);
    await given(dom0, lease);
    const peer = await bare(dom0, "bare", 256);
    await dom0.sh("xl destroy bare");
    if (i === 0) continue;
    ours.push(lease.took);
    peers.push(peer);
  }
  const row = (what: string, key: keyof Took, bar: number | null): Figure => {
    const middle = (each: readonly Took[]): number =>
      quantile(
        each.map((took) => took[key]),
        0.5,
      );
    const peer = { peer: "xl create, the same files", peerValue: middle(peers) };
    return report(`purchase order → ${what} (PV, 128 MiB)`, middle(ours), "ms", peer, bar);
  };
  return [row("a domain runs", "running", 1.1), row("its program's first word", "ready", null)];
}

/** Seconds of processor that each domain has had, by its name. */
async function used(dom0: ServedDom0): Promise<Map<string, number>> {
  const lines = (await dom0.sh("xl list | awk 'NR > 2 {print $1, $NF}'")).split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([name = "", seconds]) => [name, Number(seconds)]));
}

/** A lease's domain, busy, beside two bare ones that weigh half as much each. */
async function share(dom0: ServedDom0): Promise<Figure> {
  const lease = await rented(dom0, "while :; do :; done");
  await kept(dom0);
  for (const name of ["busy-1", "busy-2"]) await bare(dom0, name, 128);
  const before = await used(dom0);
  await dom0.sh(`sleep ${BUSY_SECONDS}`);
  const after = await used(dom0);
  const took = [...after].map(([name, seconds]) => ({ name, seconds: seconds - (before.get(name) ?? 0) }));
  const all = took.reduce((sum, { seconds }) => sum + seconds, 0);
  const own = took.filter(({ name }) => name.startsWith("xeno-")).reduce((sum, { seconds }) => sum + seconds, 0);
  await dom0.sh("xl destroy busy-1; xl destroy busy-2");
  await given(dom0, lease);
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
    return [...(await starts(dom0)), await share(dom0)];
  } finally {
    await dom0.close();
  }
}
