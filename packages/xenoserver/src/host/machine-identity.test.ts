import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { formatEnrolToken } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { enrol, readIdentity } from "./machine-identity.ts";

it("a damaged identity is said with what to do; none is none", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-identity-"));
  try {
    expect(await readIdentity(folder)).toBeNull();
    for (const text of ["", "{bad", "null", '{"url":"x"}']) {
      await writeFile(path.join(folder, "server-identity.json"), text);
      await expect(readIdentity(folder)).rejects.toThrow(
        /server-identity\.json is damaged, or was written by another version of xeno: use that one, or put back your copy/,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** A broker that answers whatever comes in one way; null: it ends the connection. */
async function answering<T>(code: string | null, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    if (code === null) return void request.socket.destroy();
    response.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify({ error: { code, says: "the code's own words" } }));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

it.each([
  ["key_revoked", "the broker refused the enrolment: key_revoked: this token was used already, and each works once; make another"],
  ["unknown_key", "that market knows no such token"],
  ["key_expired", "this token's time is over"],
  ["suspended", "the broker refused the enrolment: suspended: the code's own words"],
  [null, "and this machine is not enrolled: is it running"],
])("an enrolment that fails (%s) says what to do with its token, and leaves the machine as it was", async (code, says) => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-enrol-"));
  try {
    await answering(code, async (url) => {
      const keys = { purchaseOrders: "11".repeat(32), checkpoints: "22".repeat(32), receipts: "33".repeat(32) };
      const pins = { origin: "test/market", keys, operatorKey: "44".repeat(32) };
      const token = formatEnrolToken({ url, pins, party: `p_${"5".repeat(40)}`, seed: "66".repeat(32) });
      for (const _again of [1, 2]) await expect(enrol(folder, token, "server")).rejects.toThrow(says);
    });
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
