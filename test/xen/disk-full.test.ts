/** Disks of domains on a real Xen whose host has little room, and how fast they may be. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { until, untilThere } from "./waiting.ts";
import { DATA, ServedDom0 } from "./served-dom0.ts";
import { domain, onXen } from "./support.ts";

const MIB = 1024 * 1024;
/** Writes its disk through, over and over; each round is of other bytes. */
const WRITES = `
i=0; while :; do i=$((i + 1))
  (echo $i; head -c 1048576 /dev/urandom) >/part
  for at in 0 1 2 3; do dd if=/part of=/dev/xvda bs=64k seek=$((at * 256 + i % 16 * 16)) count=16 conv=notrunc,fsync 2>/dev/null || echo an error; done
  echo round $i
done`;
const [WRITES_COUNT, IOPS, HELD_SECONDS] = [120, 10, 3];
/** Begins some time after its drivers have connected, when they are held. */
const TIMED = `
sleep ${HELD_SECONDS}; from=$(cut -d. -f1 /proc/uptime)
dd if=/dev/zero of=/dev/xvda bs=4k count=${WRITES_COUNT} oflag=direct 2>&1 | tail -n 1
echo took $(( $(cut -d. -f1 /proc/uptime) - from )) seconds; read line; poweroff -f`;

onXen("disks of domains", () => {
  let dom0: ServedDom0;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
    await dom0.sh(
      `truncate -s 1G /srv/small && mke2fs -q -F -t ext4 /srv/small && rm -rf ${DATA}/xen && mkdir ${DATA}/xen && mount /srv/small ${DATA}/xen`,
    );
  });
  afterAll(() => dom0?.close());
  const freeBytes = async (): Promise<number> => Number(await dom0.sh(`echo $(( $(stat -f -c '%a * %S' ${DATA}/xen) ))`));

  it("stand still with their domain before the host's disk is full, and go on where there is room, whoever was killed meanwhile", async () => {
    await dom0.serve();
    const going = await dom0.rent(await domain(WRITES, { diskMib: 64 }));
    await until(() => going.seen.stdout.includes("round 2"));
    await dom0.sh(`fallocate -l $(( ${await freeBytes()} - ${100 * MIB} )) ${DATA}/xen/full`);
    await untilThere(async () => (await dom0.sh("xl list | awk 'NR == 3 {print $5}'")).includes("p"));
    await dom0.kill();
    await dom0.serve();
    const before = going.seen.stdout;
    expect(await dom0.sh("xl list | awk 'NR == 3 {print $5}'")).toContain("p");
    await dom0.sh(`rm ${DATA}/xen/full`);
    const rounds = (text: string): number => text.split("round ").length;
    await until(() => rounds(going.seen.stdout) > rounds(before) + 1);
    await dom0.stop(going.session.lease);
    const { stdout, lease } = await going.end();
    expect(stdout).not.toContain("an error");
    expect(lease.end).toMatchObject({ reason: "customer-stop" });
    await dom0.nothingIsLeft("/srv/small");
    await dom0.kill();
  });

  it("are no faster than their owner lets them, and what dom0's kernel did for them is in its books", async () => {
    await dom0.serve(`[vm]\\ndisk_iops = ${IOPS}\\n`);
    const timed = await dom0.rent(await domain(TIMED, { diskMib: 16 }));
    await until(() => timed.seen.stdout.includes("took"));
    const group = "/sys/fs/cgroup/xeno-back-end-*";
    expect(await dom0.sh(`cat ${group}/io.max`)).toMatch(/^7:\d+ rbps=209715200 wbps=209715200 riops=10 wiops=10$/);
    expect(await dom0.sh(`for each in $(cat ${group}/cgroup.procs); do cat /proc/$each/comm; done`)).toMatch(/^\d+\.xvda-0$/);
    await dom0.type("go on");
    const { stdout } = await timed.end();
    const seconds = Number(/took (\d+) seconds/.exec(stdout)?.[1]);
    expect(seconds).toBeGreaterThanOrEqual(WRITES_COUNT / IOPS - 2);
    await dom0.nothingIsLeft("/srv/small");
    expect(await dom0.sh(`ls -d ${group} 2>/dev/null || true`)).toBe("");
    expect(await dom0.sh("grep -o 'backEndCpuSeconds\":[0-9.]*' /srv/xeno.log | tail -n 1")).toMatch(/:(?!0$)[0-9.]+$/);
    await dom0.kill();
  });
});
