/** A disk image at an address, before a server is ordered that is to fetch it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lookAtAddress } from "@xenoservers/sdk";
import { patientTimers } from "./fetched.ts";

let server: Server;
const times = new Map<string, number>();
beforeAll(async () => {
  server = createServer(({ url = "" }, response) => {
    times.set(url, (times.get(url) ?? 0) + 1);
    if (url === "/pieces") response.writeHead(206, { "content-range": "bytes 0-0/700000", "content-length": 1 }).end("x");
    else if (url === "/whole") response.writeHead(200, { "content-length": 5_000 }).end(Buffer.alloc(5_000));
    else if (url === "/moved") response.writeHead(302, { location: "/pieces" }).end();
    else if (url === "/busy" && times.get(url) === 1) response.writeHead(503, { "retry-after": "3" }).end();
    else if (url === "/busy") response.end("x");
    else if (url === "/down") response.writeHead(503).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => void server.close());
const look = (at: string) => {
  const { timers, waits } = patientTimers();
  return lookAtAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}${at}`, () => {}, timers).then(
    (found) => ({ ...found, waits: waits.length }),
    (error: Error) => error.message,
  );
};

it.each([
  ["/pieces", { reached: true, bytes: 700_000, waits: 0 }],
  ["/whole", { reached: true, bytes: 5_000, waits: 0 }],
  ["/moved", { reached: true, bytes: 700_000, waits: 0 }],
  ["/busy", { reached: true, bytes: 1, waits: 1 }],
  ["/nothing", expect.stringMatching(/answers 404 for that image: nothing was ordered$/)],
  ["/down", expect.stringMatching(/cannot be had: .* answers 503, 7 times in a row: try later$/)],
])("%s", async (at, found) => {
  expect(await look(at)).toEqual(found);
});

it("that is not reached from here may be from there", async () => {
  const { timers } = patientTimers();
  expect(await lookAtAddress("http://127.0.0.1:1/x", () => {}, timers)).toEqual({
    reached: false,
    why: expect.stringContaining("cannot be reached"),
  });
});
