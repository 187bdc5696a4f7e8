/** Disk images under domains on a real Xen: one file for all domains of an image, and what each writes beside it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { takeSnapshot } from "../../packages/sdk/src/machine/fork.ts";
import { domainName, domainUuid } from "../../packages/guests/src/xen/domain-names.ts";
import { overlayTable } from "../../packages/guests/src/xen/disk-overlay.ts";
import { until, untilThere } from "./waiting.ts";
import { machine } from "../vm/support.ts";
import { DATA, ServedDom0 } from "./served-dom0.ts";
import { diskOf, onXen } from "./support.ts";

const TOLD = { "user-data": "#cloud-config\nhostname: seeded\n", "meta-data": '{"instance-id":"one"}\n' };

/** Marks the disk behind the image's end where it has no mark yet, and starts again when it is told to. */
const MARKS = `
echo sectors $(cat /sys/block/xvda/size), seed $(cat /sys/block/xvdb/ro) $(dd if=/dev/xvdb bs=1 skip=32808 count=6 2>/dev/null); strings /dev/xvdb | grep -e cloud-config -e instance-id -e hostname
if [ "$(dd if=/dev/xvda bs=1M skip=28 count=1 2>/dev/null | head -c 4)" = mine ]; then echo found; poweroff -f; fi
printf mine | dd of=/dev/xvda bs=1M seek=28 conv=notrunc 2>/dev/null
sync; echo wrote; read line; reboot -f`;

const WRITES = `
echo ready
while read line; do case $line in
  write) printf mine | dd of=/dev/xvda bs=1M seek=28 conv=notrunc 2>/dev/null; sync; echo wrote ;;
  show) echo 3 >/proc/sys/vm/drop_caches; echo shows $(dd if=/dev/xvda bs=1M skip=28 count=1 2>/dev/null | head -c 4) ;;
esac; done`;

onXen("disk images of domains", () => {
  let dom0: ServedDom0;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
  });
  afterAll(() => dom0?.close());
  /** Of the one customer that there is. */
  const bases = (): Promise<string> => dom0.sh(`cd ${DATA}/xen/cache/customers/* && stat -c '%i %a' disk-qcow2-*.raw`);

  it("lie once on the host, are written beside, and outlive their server, as what was written does a restart", async () => {
    await dom0.serve();
    const job = await diskOf(MARKS, TOLD);
    const first = await dom0.rent(job);
    await until(() => first.seen.stdout.includes("wrote"));
    const base = await bases();
    expect(base).toMatch(/^\d+ 444$/);
    const own = await dom0.sh(`stat -c '%s %b' ${DATA}/xen/domains/xeno-*/disk.raw`);
    const [size, blocks] = own.split(" ").map(Number);
    expect(size).toBe(34 * 1024 * 1024);
    expect(blocks! * 512).toBeLessThan(2 * 1024 * 1024);
    await dom0.kill();
    await strayOverlay();
    await dom0.serve();
    expect(await dom0.sh("dmsetup info --columns --noheadings --options name")).toMatch(/^xeno-[0-9a-f]{24}$/);
    expect(await dom0.sh("losetup --list --noheadings | wc -l")).toBe("3");
    await dom0.type("go on");
    const { stdout, lease } = await first.end();
    expect(stdout).toMatch(/sectors 65536[^]*wrote[^]*GRUB is here[^]*found/);
    for (const line of [/seed 1 CIDATA/, /^hostname: seeded/m, /^\{"instance-id":"one"\}/m]) expect(stdout).toMatch(line);
    expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
    await dom0.nothingIsLeft();

    const second = await dom0.rent(job);
    await until(() => second.seen.stdout.includes("wrote"));
    expect(await bases()).toBe(base);
    await dom0.stop(second.session.lease);
    const ended = await second.end();
    expect(ended.stdout).not.toContain("found");
    await dom0.nothingIsLeft();
    await dom0.kill();
  });

  /** As a daemon leaves it that is killed between making a domain's disk and letting go of it. */
  async function strayOverlay(): Promise<void> {
    const mark = await dom0.sh(`cat ${DATA}/xen/domains/mark`);
    const name = domainName("ef".repeat(32));
    await dom0.sh(`cd ${DATA}/xen/domains && mkdir ${name} && truncate -s 1M ${name}/base.raw && truncate -s 3M ${name}/disk.raw
      base=$(losetup -rf --show $PWD/${name}/base.raw); own=$(losetup -f --show $PWD/${name}/disk.raw)
      dmsetup create ${name} --uuid xeno-${domainUuid(mark, name)} --noudevsync --table "${overlayTable(1, "$base", "$own")}"`);
  }

  it("go on in forks, with what was written, as one file of the image", async () => {
    await dom0.serve();
    const first = await dom0.rent(await diskOf(WRITES, TOLD));
    await until(() => first.seen.stdout.includes("ready"));
    await dom0.type("write");
    await until(() => first.seen.stdout.includes("wrote"));
    const { snapshot, spec } = await takeSnapshot(first);
    const files = await dom0.sh(`cd ${DATA}/xen/kept/*/${snapshot} && stat -c '%i %n' *.raw && stat -c %b disk.raw`);
    const [base, , seed, blocks] = files.split("\n");
    expect([base, seed]).toMatchObject([expect.stringMatching(/ base.raw$/), expect.stringMatching(/ seed.raw$/)]);
    expect(Number(blocks) * 512).toBeLessThan(2 * 1024 * 1024);
    await dom0.stop(first.session.lease);
    await first.end();
    await dom0.nothingIsLeft();
    const fork = await dom0.rent(
      await machine({ vm: { kind: "snapshot", snapshot }, memoryMib: spec.memoryMib, diskMib: spec.diskMib, driver: "xen" }),
    );
    const own = `${DATA}/xen/domains/${domainName(fork.session.lease)}`;
    await untilThere(async () => (await dom0.sh(`cat ${own}/progress || true`)) === "begun");
    expect(await dom0.sh(`cd ${own} && stat -c '%i %n' base.raw seed.raw`)).toBe([base, seed].join("\n"));
    await dom0.type("show");
    await until(() => fork.seen.stdout.includes("shows mine"));
    await dom0.stop(fork.session.lease);
    await fork.end();
    await dom0.nothingIsLeft();
    await dom0.kill();
  });

  it("end their lease as their server's failure where its disk took no more of what they wrote while no server watched it", async () => {
    await dom0.sh(`truncate -s 1G /srv/small && mke2fs -q -F -t ext4 -m 0 /srv/small
      rm -rf ${DATA}/xen && mkdir ${DATA}/xen && mount /srv/small ${DATA}/xen`);
    await dom0.serve();
    const going = await dom0.rent(
      await diskOf("echo ready; read line; dd if=/dev/urandom of=/dev/xvda bs=64k seek=400 count=100; sync; sleep 9999"),
    );
    await until(() => going.seen.stdout.includes("ready"));
    await dom0.kill();
    await dom0.sh(`fallocate -l $(( ($(stat -f -c '%a * %S' ${DATA}/xen)) - 1048576 )) ${DATA}/xen/full`);
    await dom0.type("write");
    await untilThere(async () => (await dom0.sh("dmsetup status")).includes("Invalid"));
    await dom0.sh(`rm ${DATA}/xen/full`);
    await dom0.serve();
    const { lease } = await going.end();
    expect(lease.end).toMatchObject({ reason: "server-failed", blame: "owner" });
    await dom0.nothingIsLeft("/srv/small");
    await dom0.kill();
  });
});
