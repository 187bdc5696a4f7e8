/** A customer's program on the SDK against a real market: what runs, what is refused before it is signed, what a crash leaves. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Market } from "@xenoservers/sdk";
import { startMarket, type TestMarket } from "../process/market.ts";
import { customerOf, type Customer } from "./customer.ts";

let market: TestMarket;
let customer: Customer;
beforeAll(async () => {
  market = await startMarket();
  customer = await customerOf(market, "sdk");
  vi.stubEnv("XENO_HOME", customer.home);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await market.close();
});

describe("a script", () => {
  it("runs with files in and out, its output comes in pieces, and its receipt holds", async () => {
    const sdk = await Market.connect();
    const job = await sdk.run({
      python: {
        source:
          "import os,sys\nprint(open('/in/sub/name.txt').read(), os.environ['WHO'], sys.argv[1:], sys.stdin.read())\nopen('/out/got.txt','w').write('done')\n",
      },
      args: ["a b"],
      env: { WHO: "me" },
      files: { "sub/name.txt": "hello" },
      stdin: "typed",
      budget: "0.10",
    });
    let printed = "";
    for await (const { text } of job.output) printed += text;
    const result = await job.result;
    expect(printed).toBe("hello me ['a b'] typed\n");
    expect(result).toMatchObject({ ok: true, exitCode: 0, stdout: printed, stderr: "", isCut: false, delivered: "server" });
    expect(result.files.map(({ name, bytes }) => [name, bytes && Buffer.from(bytes).toString()])).toEqual([["got.txt", "done"]]);
    expect(result.verification.ok).toBe(true);
    expect(result.bill.dueNanos).toBeGreaterThan(0n);
  });
});
