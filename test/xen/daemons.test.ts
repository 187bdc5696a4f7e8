/** Daemons of dom0's own that end while domains run: xenconsoled, which can be started anew, and xenstored, which cannot. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "./waiting.ts";
import { DATA, ServedDom0 } from "./served-dom0.ts";
import { domain, onXen } from "./support.ts";

const COUNTS = `
(i=0; while :; do i=$((i + 1)); echo "count $i."; sleep 1; done) &
while read line; do echo "heard $line."; done`;
const counted = (text: string): number[] => [...text.matchAll(/count (\d+)\./g)].map(([, number]) => Number(number));

onXen("dom0's own daemons", () => {
  let dom0: ServedDom0;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
    await dom0.serve();
  });
  afterAll(() => dom0?.close());

  it("xenconsoled is started anew, and a domain is heard and typed at, with what it printed meanwhile", async () => {
    const going = await dom0.rent(await domain(COUNTS));
    await until(() => counted(going.seen.stdout).length > 1);
    await dom0.sh("kill -KILL $(cat /run/xen/xenconsoled.pid); sleep 3");
    const before = counted(going.seen.stdout).length;
    await dom0.sh("/usr/lib/xen-4.17/bin/xenconsoled --pid-file=/run/xen/xenconsoled.pid");
    await until(() => counted(going.seen.stdout).length > before + 4);
    await dom0.type("a word");
    await until(() => going.seen.stdout.includes("heard a word."));
    const numbers = counted(going.seen.stdout);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    await dom0.stop(going.session.lease);
    await going.end();
    await dom0.nothingIsLeft();
  });

  it("xenstored is not, and the owner is told to start the host again", async () => {
    await dom0.kill();
    await dom0.sh("kill -KILL $(cat /run/xen/xenstored.pid)");
    const said = await dom0.sh(`HOME=/root /opt/xeno/packages/cli/bin/xeno serve --check --data ${DATA} 2>&1 || true`);
    expect(said).toContain("xenstored does not run: where it did since the host was started, start the host again");
  });
});
