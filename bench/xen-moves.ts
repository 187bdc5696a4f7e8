/**
 * Domains that move between two real Xen hosts, both emulated: how long their program stands still, through the market, and by bare `xl`
 * between the same two. Where the hosts cannot be made it says so and measures nothing.
 */
import type { DomainKind } from "../packages/guests/src/xen/domain-config.ts";
import { startMarket } from "../test/process/market.ts";
import { until, untilThere } from "../test/xen/waiting.ts";
import { DATA, MOVES_TOML, THIS_MACHINE, ServedDom0 } from "../test/xen/served-dom0.ts";
import { MOVE_PORT } from "../test/xen/dom0-host.ts";
import { domain } from "../test/xen/support.ts";
import { freePort } from "../test/support/free-port.ts";
import { report, type Figure } from "./lib/report.ts";
import { BARE, bare, kept } from "./xen.ts";

/** It counts aloud, often beside what is measured; who writes that down in dom0 is some programs for each tick. */
const COUNTS = "echo ready; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.5; done";
const CLOCK_TRIES = 5;
/** Ticks that are seen before it moves, and after. */
const SEEN = 10;

interface Tick {
  number: number;
  /** By this machine's clock. */
  atMs: number;
}

/** Two hosts; what is sent to the second comes at that port of this machine. */
interface Pair {
  first: ServedDom0;
  second: ServedDom0;
  port: number;
}

/** How far that host's clock is before this machine's, by the quickest of some answers. */
async function aheadMs(dom0: ServedDom0): Promise<number> {
  const tries: { took: number; ahead: number }[] = [];
  for (let i = 0; i < CLOCK_TRIES; i++) {
    const before = Date.now();
    const there = Number(await dom0.sh("date +%s%N")) / 1e6;
    const after = Date.now();
    tries.push({ took: after - before, ahead: there - (before + after) / 2 });
  }
  return tries.toSorted((a, b) => a.took - b.took)[0]!.ahead;
}

/** Begins to write down when each line came of what those words of sh(1) print. */
const watched = (dom0: ServedDom0, words: string): Promise<string> =>
  dom0.sh(`: >/run/ticks; cat >/run/watch <<'END'
{ ${words}; } | while read -r line; do echo "$(date +%s%N) $line"; done >/run/ticks
END
    setsid sh /run/watch >/dev/null 2>&1 & echo $! >/run/watch.pid`);

/** It may have ended by itself, with the terminal that it read. */
const unwatched = (dom0: ServedDom0): Promise<string> => dom0.sh("kill -KILL -$(cat /run/watch.pid) 2>/dev/null || :");

async function ticksOf(dom0: ServedDom0, ahead: number): Promise<Tick[]> {
  const lines = (await dom0.sh("cat /run/ticks")).matchAll(/^(\d+) tick (\d+)\r?$/gm);
  return Array.from(lines, ([, at, number]) => ({ number: Number(number), atMs: Number(at) / 1e6 - ahead }));
}

/** From its last word at the first host to its next one at the second; `move` moves it. */
async function stoodMs({ first, second }: Pair, move: () => Promise<unknown>): Promise<number> {
  const [at, then] = [await aheadMs(first), await aheadMs(second)];
  await untilThere(async () => (await ticksOf(first, at)).length > SEEN);
  console.error("a domain counts on the first host, and moves"); // which takes long: whoever waits sees where it is
  await move();
  console.error("it has moved");
  const before = (await ticksOf(first, at)).reduce((last, tick) => (tick.number > last.number ? tick : last));
  const after = async (): Promise<Tick[]> => (await ticksOf(second, then)).filter(({ number }) => number > before.number);
  await untilThere(async () => (await after()).length > SEEN);
  const next = (await after()).reduce((least, tick) => (tick.number < least.number ? tick : least));
  for (const each of [first, second]) await unwatched(each);
  const stood = next.atMs - before.atMs;
  console.error(`it stood still for ${Math.round(stood)} ms`);
  return stood;
}

const CONSOLE = `$(find ${DATA} -path '*/domains/xeno-*/console.log')`;

/** Through the market; what its server wrote is kept for bare `xl`. */
async function ours(pair: Pair, kind: DomainKind): Promise<number> {
  const { first, second } = pair;
  await first.serve(MOVES_TOML, kind);
  const going = await first.rent(await domain(COUNTS), { budgetNanos: 10n ** 12n });
  await Promise.all([until(() => going.seen.stdout.includes("tick 1")), second.serve(MOVES_TOML, kind)]);
  await kept(first);
  await watched(first, `tail -n 1 -F ${CONSOLE}`);
  // it is there, with all that it held before, some time before the domain goes on
  await watched(second, `until [ -n "${CONSOLE}" ]; do sleep 1; done; tail -n 0 -F ${CONSOLE}`);
  const stood = await stoodMs(pair, () => first.drainTo(second));
  await second.stop(going.session.lease);
  await going.end();
  await second.nothingIsLeft();
  await first.undrain();
  for (const each of [first, second]) await each.kill();
  return stood;
}

/** Of a domain that is made there by what comes, as soon as xenstore names it. */
const OF_WHAT_COMES = `until id=$(xenstore-list /local/domain | grep -v '^0$') && tty=$(xenstore-read /local/domain/$id/console/tty); do sleep 0.1; done 2>/dev/null
stty raw -echo <$tty; cat $tty`;

/** How bare `xl` moves a domain of that kind: PV is saved, for Debian's hypervisor does not see what it writes. */
const BARE_MOVES: Record<DomainKind, { peer: string; send: (port: number) => string; receive: string }> = {
  pvh: {
    peer: "xl migrate -s",
    send: (port) => `xl migrate -s '' bare 'socat - TCP:${THIS_MACHINE}:${port}'`,
    receive: `socat TCP-LISTEN:${MOVE_PORT},reuseaddr EXEC:'xl migrate-receive'`,
  },
  pv: {
    peer: "xl save | xl restore",
    send: (port) => `xl save bare /proc/self/fd/5 5>&1 >/dev/null | socat -u - TCP:${THIS_MACHINE}:${port}`,
    receive: `socat -u TCP-LISTEN:${MOVE_PORT},reuseaddr - | xl restore /proc/self/fd/0`,
  },
};

async function bareMove(pair: Pair, kind: DomainKind): Promise<number> {
  const { first, second, port } = pair;
  const { send, receive } = BARE_MOVES[kind];
  await bare(first, "bare", 256);
  // what it boots is no part of what is sent, and is looked for there
  await second.sh(`mkdir -p ${BARE} && touch ${BARE}/kernel ${BARE}/ramdisk`);
  await watched(first, "tty=$(xenstore-read /local/domain/$(xl domid bare)/console/tty); stty raw -echo <$tty; cat $tty");
  await watched(second, OF_WHAT_COMES);
  await second.sh(`setsid sh -c "${receive}" >/run/receive.log 2>&1 &`);
  const stood = await stoodMs(pair, () => first.shAtLength(`{ ${send(port)}; } 2>/run/send.log || { cat /run/send.log; exit 1; }`));
  await second.sh("xl destroy bare");
  return stood;
}

async function row(pair: Pair, kind: DomainKind): Promise<Figure> {
  const [own, peerValue] = [await ours(pair, kind), await bareMove(pair, kind)];
  return report(`a domain stands still as it moves (${kind}, 128 MiB)`, own, "ms", { peer: BARE_MOVES[kind].peer, peerValue }, 1.2);
}

export async function xenMoves(): Promise<Figure[]> {
  const market = await startMarket();
  await market.daemon.close(); // its servers are those in dom0
  const hosts: ServedDom0[] = [];
  try {
    const [port, own] = [await freePort(), await freePort()];
    const started = await Promise.allSettled([own, port].map((movePort) => ServedDom0.start({ movePort, market })));
    for (const each of started) {
      if (each.status === "fulfilled") hosts.push(each.value);
      else console.error(`SKIPPED: no two Xen hosts can be measured here: ${String(each.reason)}`);
    }
    const [first, second] = hosts;
    if (!first || !second) return [];
    const pair = { first, second, port };
    return [await row(pair, "pvh"), await row(pair, "pv")];
  } finally {
    for (const each of hosts) await each.close();
    await market.close();
  }
}
