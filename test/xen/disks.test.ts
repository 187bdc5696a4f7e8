/** Disk images under domains on a real Xen: one file for all domains of an image, and what each writes beside it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../process/market.ts";
import { DATA, ServedDom0 } from "./served-dom0.ts";
import { diskOf, onXen } from "./support.ts";

/** Marks the disk behind the image's end where it has no mark yet, and starts again when it is told to. */
const MARKS = `
echo sectors $(cat /sys/block/xvda/size)
if [ "$(dd if=/dev/xvda bs=1M skip=28 count=1 2>/dev/null | head -c 4)" = mine ]; then echo found; poweroff -f; fi
printf mine | dd of=/dev/xvda bs=1M seek=28 conv=notrunc 2>/dev/null
sync; echo wrote; read line; reboot -f`;

onXen("disk images of domains", () => {
  let dom0: ServedDom0;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
  });
  afterAll(() => dom0?.close());
  const bases = (): Promise<string> => dom0.sh(`cd ${DATA}/xen/cache && stat -c '%i %a' disk-qcow2-*.raw`);

  it("lie once on the host, are written beside, and outlive their server, as what was written does a restart", async () => {
    await dom0.serve();
    const job = await diskOf(MARKS);
    const first = await dom0.rent(job);
    await until(() => first.seen.stdout.includes("wrote"));
    const base = await bases();
    expect(base).toMatch(/^\d+ 444$/);
    const own = await dom0.sh(`stat -c '%s %b' ${DATA}/xen/domains/xeno-*/disk.raw`);
    const [size, blocks] = own.split(" ").map(Number);
    expect(size).toBe(34 * 1024 * 1024);
    expect(blocks! * 512).toBeLessThan(2 * 1024 * 1024);
    await dom0.kill();
    await dom0.serve();
    await dom0.type("go on");
    const { stdout, lease } = await first.end();
    expect(stdout).toMatch(/sectors 65536[^]*wrote[^]*GRUB is here[^]*found/);
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

  it("end their lease as their server's failure where its disk takes no more of what they write", async () => {
    await dom0.sh(`rm -rf ${DATA}/xen && mkdir ${DATA}/xen && mount -t tmpfs -o size=128m tmpfs ${DATA}/xen`);
    await dom0.serve();
    const going = await dom0.rent(
      await diskOf("echo ready; read line; dd if=/dev/urandom of=/dev/xvda bs=64k seek=400 count=100; sync; sleep 9999"),
    );
    await until(() => going.seen.stdout.includes("ready"));
    await dom0.sh(`fallocate -l $(( ($(stat -f -c '%a * %S' ${DATA}/xen)) - 1048576 )) ${DATA}/xen/full`);
    await dom0.type("write");
    const { lease } = await going.end();
    expect(lease.end).toMatchObject({ reason: "host-failure" });
    await dom0.nothingIsLeft();
    await dom0.kill();
  });
});
