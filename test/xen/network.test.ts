/** Domains with a network card on a real Xen: what they reach, what they do not, whatever they send, and what is left of it. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { forwardPort, takeSnapshot, type BuiltVm } from "@xenoservers/sdk";
import { until, untilThere } from "./waiting.ts";
import { DATA, ServedDom0 } from "./served-dom0.ts";
import { bareProgram, domain, forkOf, imageOf, onXen } from "./support.ts";

const POLICY = '[policy]\\negress = "public"\\negress_ports = [80]\\n[price]\\negress_gib = "1.0"\\n';
const [PUBLIC, PRIVATE, OWN] = ["93.184.216.34", "10.77.0.2", "10.77.0.1"];
const PAGE_BYTES = 100_000;
const SLOW_MBIT = 1;
/** What lies between the guest's card and dom0's. */
const RING_BYTES = 512 * 1024;
const BUDGET_NANOS = 3_000_000_000n;

/** Beyond dom0, by a pair of cards: a namespace in which everybody answers, at a public address and at a private one; and dom0's own service. */
const WORLD = `ip netns add world && ip link add w0 type veth peer name w1 netns world
ip address add ${OWN}/24 dev w0 && ip link set w0 up && ip route add ${PUBLIC}/32 via ${PRIVATE} dev w0 onlink
ip netns exec world sh -c 'ip link set lo up; ip address add ${PRIVATE}/24 dev w1; ip address add ${PUBLIC}/32 dev lo; ip link set w1 up; ip route add default via ${OWN}'
{ printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom outside\\n'; head -c ${PAGE_BYTES} /dev/zero | tr '\\0' x; } >/srv/page
setsid ip netns exec world socat TCP-LISTEN:80,fork,reuseaddr,backlog=128 SYSTEM:'read line; cat /srv/page' >/dev/null 2>&1 &
setsid socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:'read line; echo dom0 itself' >/dev/null 2>&1 &
echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/all/accept_local`;

/** Asks for its address, then for pages: `get WHERE` says the first line, or why there is none; `ask WHERE` of what answers, however slowly. */
const NETWORK = `insmod /xen-netfront.ko
ip link set lo up; ip link set eth0 up
printf '#!/bin/sh\\n[ $1 != bound ] || { ip address add $ip/24 dev eth0; ip route add default via $router; echo told $ip $subnet $router $dns; }\\n' >/told
chmod +x /told; udhcpc -i eth0 -n -q -s /told 2>/dev/null
get() { echo "$1: $(timeout \${2:-20} wget -q -O - http://$1/ 2>&1 | head -n 1 | head -c 60)"; }
ask() { get $1 600; }
`;

onXen("a domain's network", () => {
  let dom0: ServedDom0;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
    await dom0.sh(WORLD);
    await dom0.serve(POLICY);
  });
  afterAll(() => dom0?.close());
  const rent = (job: BuiltVm) => dom0.rent(job, { budgetNanos: BUDGET_NANOS });
  /** No domain, no card of one, and no network that one lay in. */
  const nothingIsLeft = async (): Promise<void> => {
    await untilThere(async () => (await dom0.domains()) === "");
    await untilThere(
      async () => (await dom0.sh("ls /sys/class/net | grep -c vif || true; pgrep -fc '[s]leep infinity' || true")) === "0\n0",
    );
  };

  it("leads to public addresses on the owner's ports and nowhere else, is billed by its bytes, and is gone with it", async () => {
    const job = await domain(
      `${NETWORK}
      ask ${PUBLIC}; for each in ${PUBLIC}:81 ${PUBLIC}:25 ${PRIVATE} ${OWN} 10.0.2.2 127.0.0.1 169.254.169.254; do get $each; done
      echo echo: $(ping -c 1 -W 2 ${PUBLIC} | grep -c from)
      poweroff -f`,
      { egress: "public" },
    );
    const { stdout, lease, delivered } = await (await rent(job)).end();
    expect(stdout).toContain("told 10.0.2.15 255.255.255.0 10.0.2.2 10.0.2.3");
    expect(stdout).toContain(`${PUBLIC}: from outside`);
    expect(stdout.match(/from outside|dom0 itself/g)).toHaveLength(1);
    expect(stdout).toContain("169.254.169.254: "); // it came to the end
    expect(stdout).toContain("echo: 0");
    expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
    expect(lease.end!.billableEgressBytes).toBeGreaterThan(100);
    expect(lease.end!.billableEgressBytes).toBeLessThan(2 * PAGE_BYTES);
    expect(delivered!.result.egressBytes).toBe(lease.end!.billableEgressBytes);
    const record = JSON.parse(await dom0.sh(`cat ${DATA}/vm/egress.jsonl`)) as object;
    expect(record).toMatchObject({ lease: lease.id, address: PUBLIC, port: 80 });
    await nothingIsLeft();
  });

  it("holds whatever its guest sends: addresses of others, another card, frames too large, more connections than it may have", async () => {
    const job = await domain(
      `${NETWORK}
      for each in ${OWN} ${PUBLIC} 10.0.2.99; do
        ip address add $each/32 dev eth0; ip route change default via 10.0.2.2 src $each
        echo "as $each: $(echo | timeout 5 nc -w 4 10.77.0.200 80 2>&1 | head -n 1)"
        ip route change default via 10.0.2.2; ip address del $each/32 dev eth0
      done
      card() { ip link set eth0 down; ip link set eth0 address $1; ip link set eth0 up; ip route add default via 10.0.2.2; }
      card 00:16:3e:99:99:99; echo "other card: $(echo | timeout 5 nc -w 4 ${PUBLIC} 80 2>&1 | head -n 1)"
      card 00:16:3e:12:34:56; ask ${PUBLIC}
      ping -c 5 -s 60000 -W 1 ${PUBLIC} >/dev/null; echo sent $(cat /sys/class/net/eth0/statistics/tx_packets); /frames; echo sent $(cat /sys/class/net/eth0/statistics/tx_packets)
      head -c 3000000 /dev/zero | timeout 20 nc ${PUBLIC} 80 | wc -c
      echo flooded
      n=0; while [ $n -lt 150 ]; do sleep 30 | nc ${PUBLIC} 80 >/dev/null 2>&1 & n=$((n+1)); done; sleep 5; killall nc; wait
      echo connected; ask ${PUBLIC}
      poweroff -f`,
      { egress: "public", programs: [await bareProgram(dom0.folder, "frames.c")] },
    );
    const { stdout, lease } = await (await rent(job)).end();
    for (const each of [OWN, PUBLIC, "10.0.2.99"]) expect(stdout).toMatch(new RegExp(`as ${each}: nc: (?:timed out|can't connect)`));
    expect(stdout).toMatch(/other card: nc: (?:timed out|can't connect)/);
    const [before = 0, after = 0] = [...stdout.matchAll(/^sent (\d+)/gm)].map(([, packets]) => Number(packets));
    expect(after - before, stdout).toBeGreaterThan(8_000); // the rest was too long for its own kernel, or for its ring
    expect(stdout.match(/: from outside/g), stdout).toHaveLength(2);
    expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
    await nothingIsLeft();
  });

  it("is found again after its server was killed, is the same when its kernel starts again, and leads in", async () => {
    const job = await domain(
      `${NETWORK}
      ask ${PUBLIC}
      while :; do nc -l -p 7 -e echo from the guest; done &
      while read word; do case $word in get) until get ${PUBLIC} | grep outside; do sleep 1; done;; again) reboot -f;; esac; done`,
      { egress: "public" },
    );
    const going = await rent(job);
    const fetched = (): number => going.seen.stdout.split("from outside").length - 1;
    await until(async () => fetched() === 1);
    await dom0.kill();
    await dom0.serve(POLICY); // it is listed before all of its guests are taken up
    await dom0.type("get");
    await until(async () => fetched() === 2);
    const forward = await forwardPort(going.session.machine, 7, 0, () => {});
    const socket = connect({ host: "127.0.0.1", port: forward.port });
    expect(String((await once(socket, "data"))[0])).toContain("from the guest");
    socket.destroy();
    forward.close();
    await dom0.type("again");
    await until(async () => fetched() === 3);
    await dom0.stop(going.session.lease);
    const { lease } = await going.end();
    expect(lease.end!.billableEgressBytes).toBeGreaterThan(100);
    await nothingIsLeft();
  });

  it("is there before an image's program is", async () => {
    const job = await imageOf(dom0.folder, `cat /etc/resolv.conf; wget -q -O - http://${PUBLIC}/ | head -n 1`, { egress: "public" });
    const { stdout, lease } = await (await rent(job)).end();
    expect(stdout).toBe("nameserver 10.0.2.3\nfrom outside\n");
    expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
    await nothingIsLeft();
  });

  it("of a fork is another one, with the same address", async () => {
    const job = await domain(`${NETWORK}ask ${PUBLIC}\nwhile read word; do ask ${PUBLIC}; done`, { egress: "public" });
    const first = await rent(job);
    await until(() => first.seen.stdout.includes("from outside"));
    const { snapshot } = await takeSnapshot(first);
    await dom0.stop(first.session.lease); // this host has room for one at a time
    await first.end();
    await nothingIsLeft();
    const second = await rent(forkOf(job, snapshot));
    await until(() => second.seen.states.includes("running"));
    await second.session.machine.input(Buffer.from("get\r"));
    await until(() => second.seen.stdout.includes("from outside"));
    await dom0.stop(second.session.lease);
    await second.end();
    await nothingIsLeft();
    await dom0.kill();
  });

  it("sends no faster than a quarter above what its owner gives", async () => {
    await dom0.serve(POLICY.replace("[price]", `egress_mbit = ${SLOW_MBIT}\\n[price]`));
    const job = await domain(
      `${NETWORK}
      for each in 1 2 3 4 5 6 7 8; do ping -q -s 60000 -i 0.01 10.0.2.2 >/dev/null & done; sleep 5
      sent() { cat /sys/class/net/eth0/statistics/tx_bytes; cut -d. -f1 /proc/uptime; }
      echo from $(sent); sleep 30; echo to $(sent)
      poweroff -f`,
      { egress: "public" },
    );
    const { stdout } = await (await rent(job)).end();
    const [[bytesFrom = 0, from = 0] = [], [bytesTo = 0, to = 0] = []] = [...stdout.matchAll(/^(?:from|to) (\d+) (\d+)/gm)].map(
      ([, bytes, at]) => [Number(bytes), Number(at)] as const,
    );
    const bytes = bytesTo - bytesFrom;
    expect(bytes, stdout).toBeGreaterThan(0);
    expect(bytes, stdout).toBeLessThan(((SLOW_MBIT * 1_000_000 * 1.25) / 8) * (to - from + 1) + RING_BYTES);
    await nothingIsLeft();
    await dom0.kill();
  });
});
