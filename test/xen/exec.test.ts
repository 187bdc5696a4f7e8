/** Programs, files and input of images' domains on a real Xen, through consoles beside the first: no network, and no process of QEMU's. */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "./waiting.ts";
import { busyboxLayout, cliHome } from "../vm/support.ts";
import { ServedDom0 } from "./served-dom0.ts";
import { onXen } from "./support.ts";

const SIZE = ["--driver", "xen", "--mem", "160M", "--disk", "64M", "--max-time", "30m"];
const PROGRAM = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");

onXen("what runs in a domain", () => {
  let dom0: ServedDom0;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  let layout: string;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
    cli = await cliHome(dom0.market);
    layout = await busyboxLayout(dom0.folder);
    await dom0.serve();
  });
  afterAll(() => dom0?.close());

  /** The lease. */
  async function leased(script: string): Promise<string> {
    const ran = await cli.xeno("run", ...SIZE, "--detach", "-q", `oci:${layout}:box`, "--", "sh", "-c", script);
    if (ran.code !== 0) throw new Error(ran.stderr);
    const lease = ran.stdout.trim();
    await until(async () => (await cli.xeno("logs", lease)).stdout.includes("begun"));
    return lease;
  }

  it("reads what its customer sends, also where its server is killed in between", async () => {
    const script = "echo begun; head -c 100000 | sha256sum; echo so far; sha256sum";
    const bytes = Buffer.concat([Buffer.from([0x10, 0x10, 0x7e, 0x7d, 0x04]), randomBytes(200_000)]);
    const [first, second] = [bytes.subarray(0, 100_000), bytes.subarray(100_000)];
    const words = ["run", ...SIZE, "-i", `oci:${layout}:box`, "--", "sh", "-c", script];
    const fed = spawn(process.execPath, [PROGRAM, ...words], { env: { ...process.env, XENO_HOME: cli.home, NO_COLOR: "1" } });
    let said = "";
    for (const stream of [fed.stdout, fed.stderr]) stream.on("data", (part: Buffer) => (said += part.toString()));
    fed.stdin.write(first);
    await until(() => said.includes("so far\n"));
    await dom0.kill();
    await dom0.serve();
    fed.stdin.end(second);
    const [code] = (await once(fed, "close")) as [number];
    expect(code, said).toBe(0);
    for (const part of [first, second]) expect(said).toContain(`${createHash("sha256").update(part).digest("hex")}  -`);
    await dom0.nothingIsLeft();
  });

  it("is joined by its customer's programs, files and terminal, and again after its server was killed", async () => {
    const lease = await leased("echo begun; sleep 100000");
    const exec = (...words: string[]) => cli.xeno("exec", ...words.slice(0, -1), lease, "--", "sh", "-c", words.at(-1)!);
    expect(await exec("id -u; echo err >&2; exit 4")).toMatchObject({
      code: 4,
      stdout: "33\n",
      stderr: expect.stringContaining("err") as string,
    });
    const bytes = randomBytes(300_000);
    const [from, back] = [path.join(dom0.folder, "from"), path.join(dom0.folder, "back")];
    await writeFile(from, bytes);
    const put = await cli.xeno("cp", from, `${lease}:/tmp/there`);
    expect(put.code, put.stderr).toBe(0);
    await dom0.kill();
    await dom0.serve();
    const got = await cli.xeno("cp", `${lease}:/tmp/there`, back);
    expect(got.code, got.stderr).toBe(0);
    expect((await readFile(back)).equals(bytes)).toBe(true);
    expect((await exec("-t", "test -t 0 && echo a terminal")).stdout).toContain("a terminal");
    expect((await cli.xeno("lease", "stop", lease)).code).toBe(0);
    await dom0.nothingIsLeft();
  });
});
