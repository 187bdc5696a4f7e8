/** Domains of two real Xen hosts of one owner: what runs on the first goes on at the second, where it stood. Both are emulated. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forwardPort } from "@xenoservers/sdk";
import { until } from "./waiting.ts";
import { freePort } from "../support/free-port.ts";
import { MOVES_TOML, ServedDom0 } from "./served-dom0.ts";
import { XEN_HOST, domain, onXen } from "./support.ts";

/** Ticks until it is told a word; then says what is on its disk, read anew. */
const TICKS = `insmod /xen-netfront.ko
ip link set lo up; ip link set eth0 up; ip address add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
while :; do nc -l -p 7 -e echo from the guest; done &
printf kept >/dev/xvda; sync; echo ready
i=0; until read -t 1 word; do i=$((i+1)); echo tick $i; done
printf more | dd of=/dev/xvda bs=4 seek=1 conv=notrunc 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches
echo "card $(cat /sys/class/net/eth0/address), disk $(head -c 8 /dev/xvda)."; poweroff -f`;

/** Debian's hypervisor does not see what a PV domain writes. */
const HOW = { pv: "saved", pvh: "live" } as const;

/** Two emulated hosts share what the machine has, with whatever else runs there: the test does not end for that. */
const HANGS_MS = 7_200_000;

const ticksIn = (text: string): number[] => [...text.matchAll(/tick (\d+)\r?\n/g)].map(([, i]) => Number(i));

/** What its guest says to whoever connects. */
async function heardAt(machine: Parameters<typeof forwardPort>[0]): Promise<string> {
  const forward = await forwardPort(machine, 7, 0, () => {});
  const socket = connect({ host: "127.0.0.1", port: forward.port });
  try {
    return String((await once(socket, "data"))[0]);
  } finally {
    socket.destroy();
    forward.close();
  }
}

if (XEN_HOST !== undefined) console.warn("SKIPPED: moves need two hosts, and XENO_XEN_HOST names one");
(XEN_HOST === undefined ? onXen : describe.skip)("domains that move", () => {
  let [first, second]: [ServedDom0?, ServedDom0?] = [];
  beforeAll(async () => {
    first = await ServedDom0.start({ movePort: await freePort() });
    second = await ServedDom0.start({ movePort: await freePort(), market: first.market });
  });
  afterAll(async () => {
    await second?.close();
    await first?.close();
  });

  describe.each(["pv", "pvh"] as const)("of %s kind", (kind) => {
    let [one, two]: ServedDom0[] = [];
    beforeAll(async () => {
      [one, two] = [first!, second!];
      await one.serve(MOVES_TOML, kind);
    });
    afterAll(async () => {
      await one!.undrain();
      await one!.kill();
      await two!.kill();
    });

    it("goes on at the second host without a gap in what it prints, with its disk and its card", { timeout: HANGS_MS }, async () => {
      const going = await one!.rent(await domain(TICKS, { diskMib: 16, egress: "none" }));
      await until(() => going.seen.stdout.includes("tick 3"));
      await two!.serve(MOVES_TOML, kind);
      const said = await one!.drainTo(two!);
      expect(said).toContain("moved: ");
      await one!.nothingIsLeft();
      expect(await one!.logged(`"how":"${HOW[kind]}".*to be carried`)).toContain(going.session.lease.slice(0, 24));
      expect(await two!.domains()).toMatch(/^xeno-[0-9a-f]{24}$/);
      const ticks = ticksIn(going.seen.stdout).length;
      await until(() => ticksIn(going.seen.stdout).length > ticks + 2);
      expect(await heardAt(going.session.machine)).toContain("from the guest");
      await going.session.machine.input(Buffer.from("end\r"));
      const { stdout, lease } = await going.end();
      const all = ticksIn(stdout);
      expect(all).toEqual(Array.from({ length: all.length }, (_, i) => i + 1));
      expect(stdout).toContain("card 00:16:3e:12:34:56, disk keptmore.");
      expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0, blame: "nobody" });
      await two!.nothingIsLeft();
    });
  });
});
