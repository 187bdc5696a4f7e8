/** Ports of this machine that lead to a guest's, as people reported of others: here to a guest that says everything again. */
import { connect, createServer, type Server } from "node:net";
import type { Duplex } from "node:stream";
import type { ByteDuplex } from "@xenoservers/protocol/channel";
import { afterEach, expect, it } from "vitest";
import type { MachineLink } from "../../session/machine-link.ts";
import { forwardPort, type PortForward } from "./port-forward.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const echo = { open: async (_: number, stream: Duplex) => void stream.pipe(stream) } as unknown as MachineLink;

async function forwarded(machine: MachineLink = echo, port = 0, problems: string[] = []): Promise<PortForward> {
  const forward = await forwardPort(machine, 80, port, (why) => problems.push(why));
  open.push(forward);
  return forward;
}

/** What comes back until the other side has said all; this side ends what it says at once. */
function said(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = "";
    connect({ host, port })
      .once("error", reject)
      .on("data", (bytes) => (all += String(bytes)))
      .once("close", () => resolve(all))
      .end(text);
  });
}

const listening = (host: string, port = 0): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    open.push(server);
    server.once("error", reject).listen({ host, port, ipv6Only: true }, () => resolve(server));
  });
const portOf = (server: Server): number => (server.address() as { port: number }).port;
const hasIpv6 = await listening("::1").then(
  () => true,
  () => false,
);

it("is both of what localhost may be, and an end of one side leaves the other its way (lima#1330, kubernetes#8766)", async () => {
  const { port } = await forwarded();
  expect(await said("127.0.0.1", port, "four")).toBe("four");
  if (hasIpv6) expect(await said("::1", port, "six")).toBe("six");
  expect(await said("localhost", port, "either")).toBe("either");
});

it("says what it is where nobody listens in the guest, and the rest as it is told", async () => {
  const told = ["read ECONNRESET", "this machine was ordered without a network card"];
  for (const why of told) {
    const problems: string[] = [];
    const { port } = await forwarded({ open: () => Promise.reject(new Error(why)) } as unknown as MachineLink, 0, problems);
    await expect(said("127.0.0.1", port, "hello")).rejects.toThrow("ECONNRESET");
    const broken = "a connection to port 80 of the machine was broken off (read ECONNRESET): does a program listen at it?";
    expect(problems).toEqual([why === "read ECONNRESET" ? broken : why]);
  }
});

it("says which port is taken, on either of the two (lima#1540)", async () => {
  for (const host of hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
    const port = portOf(await listening(host));
    await expect(forwarded(echo, port)).rejects.toThrow(`port ${port} of this machine is taken`);
    if (host === "::1") open.push(await listening("127.0.0.1", port)); // what had been taken was given back
  }
});

it("goes on after connections that were refused or cut off, a hundred at once (kubectl#1169, kubectl#1620, kubernetes#78446)", async () => {
  const problems: string[] = [];
  let refuses = true;
  const machine = {
    async open(_: number, stream: Duplex) {
      if (refuses) stream.destroy(new Error("nothing listens at port 80 in the guest"));
      else stream.pipe(stream);
    },
  } as unknown as MachineLink;
  const { port } = await forwarded(machine, 0, problems);
  await said("127.0.0.1", port, "x").catch(() => {});
  expect(problems).toContain("nothing listens at port 80 in the guest");
  refuses = false;
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      if (i % 2 === 0) expect(await said("127.0.0.1", port, `${i}`)).toBe(`${i}`);
      else
        await new Promise((resolve) =>
          connect({ host: "127.0.0.1", port }).once("connect", function (this: Duplex) {
            this.once("close", resolve).destroy();
          }),
        );
    }),
  );
  expect(await said("127.0.0.1", port, "still")).toBe("still");
});

it("resets a connection that the guest has broken off, and says why", async () => {
  const problems: string[] = [];
  const broken = {
    open: async (_: number, stream: ByteDuplex) => void stream.breakOff?.(new Error("it was reset")),
  } as unknown as MachineLink;
  const { port } = await forwarded(broken, 0, problems);
  await expect(said("127.0.0.1", port, "hello")).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(problems).toEqual(["it was reset"]);
});
