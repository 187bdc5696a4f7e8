/**
 * A domain's network with a pair of cards of this machine's kernel in place of Xen's: what the guest sends arrives at the gate, whatever
 * address it is for, and nowhere else. Needs root; without it no card can be made.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import packet from "dns-packet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { startTicksOf } from "../programs/process-id.ts";
import { Gate } from "../qemu/network/gate.ts";
import { LookUpRoom } from "../qemu/network/look-ups.ts";
import { NetNamespace } from "../qemu/network/namespace.ts";
import { NETWORK, attachCard, domainNetwork, leaveNetwork } from "./domain-network.ts";
import { OtherEnd } from "./other-end.fixture.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const PORT = 80;
const CARD = "vif7.0";
const SOMEWHERE = "93.184.216.34";
const ASK = `my $at = IO::Socket::INET->new(PeerAddr => "${NETWORK.gateway}", PeerPort => ${PORT}); print $at && <$at> // "nothing"`;
const isRoot = process.getuid?.() === 0;

const questionOf = (name: string): Buffer =>
  packet.encode({ type: "query", id: 7, flags: packet.RECURSION_DESIRED, questions: [{ type: "A", name }] });

describe.skipIf(!isRoot)("a domain's network", () => {
  let folder: string;
  let guest: OtherEnd;
  let holder: number;
  let inNetwork: NetNamespace;
  let gate: Gate;
  let outside: Server;
  const dialled: string[] = [];
  const asked: string[] = [];
  const inside = async (words: string): Promise<string> =>
    (await run("nsenter", ["--target", String(holder), "--net", "sh", "-ec", words])).stdout;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-network-"));
    holder = await domainNetwork(folder);
    guest = await OtherEnd.start();
    await guest.wire(CARD);
    await attachCard(holder, CARD);
    inNetwork = new NetNamespace(holder);
    // a guest that only reads has not said all yet when the gate closes, which breaks that off
    outside = createServer((socket) => socket.on("error", () => {}).end("from outside"));
    await once(outside.listen(0, "127.0.0.1"), "listening");
    dialled.length = asked.length = 0;
    gate = new Gate({
      ...{ lease: "l", egress: "public", ports: [PORT], bytesMax: MIB, bytesUsed: 0, bytesPerSecondMax: 1_000 * MIB },
      isPublic: (address) => address === SOMEWHERE,
      record: () => {},
      lookUps: new LookUpRoom(),
      resolve: async (name) => {
        asked.push(name);
        return [SOMEWHERE];
      },
      dial: (address, port) => {
        dialled.push(`${address}:${port}`);
        return connect({ host: "127.0.0.1", port: (outside.address() as AddressInfo).port });
      },
    });
    await gate.start(inNetwork, null);
  });
  afterEach(async () => {
    await gate.close();
    await Promise.all([guest.close(), inNetwork.close()]);
    outside.close();
    await leaveNetwork(folder);
    await rm(folder, { recursive: true });
  });

  const said = async (socket: Socket): Promise<string> => {
    let text = "";
    for await (const part of socket) text += String(part);
    return text;
  };
  const answer = async (name: string): Promise<[Buffer, string]> => {
    const datagrams = await guest.namespace.datagrams(5_353);
    const answered = once(datagrams, "message") as Promise<[Buffer, { address: string }]>;
    datagrams.send(questionOf(name), 53, NETWORK.names);
    const [bytes, from] = await answered;
    datagrams.close();
    return [bytes, from.address];
  };

  it("lets what its guest connects to arrive at the gate, by the address that was meant, and refuses what is not open", async () => {
    expect(await said(await guest.namespace.connect(PORT, SOMEWHERE))).toBe("from outside");
    expect(dialled).toEqual([`${SOMEWHERE}:${PORT}`]);
    await expect(guest.namespace.connect(81, SOMEWHERE)).rejects.toThrow("ECONNREFUSED");
    expect(await guest.sh(`perl -MIO::Socket::INET -e '${ASK}'`)).toBe("nothing"); // it is nobody's address outside
    expect(dialled).toHaveLength(1);
  });

  it("answers names from the address that was asked", async () => {
    const [bytes, from] = await answer("a.example");
    expect(from).toBe(NETWORK.names);
    expect(packet.decode(bytes).answers).toMatchObject([{ data: SOMEWHERE }]);
  });

  it.each([
    ["one of its own network that is not its", "10.0.2.99"],
    ["its way out's", NETWORK.gateway],
    ["somebody else's", SOMEWHERE],
    ["dom0's loopback", "127.0.0.5"],
  ])("hears nothing from another address than its guest's: %s", async (_, address) => {
    await guest.sh("echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet");
    await guest.sendFrom(address, NETWORK.names, 53, questionOf("spoofed.example"));
    await answer("after.example"); // packets of one card come in their order
    expect(asked).toEqual(["after.example"]);
    expect((await inside("ip neighbour show")).trim().split("\n")).toEqual([
      expect.stringContaining(`${NETWORK.guest} dev ${CARD} lladdr`),
    ]);
  });

  it("knows its guest's card whatever that says of itself", async () => {
    await guest.sh("ip link set eth0 address 00:16:3e:99:99:99; ip neighbour flush dev eth0");
    await guest.sendFrom(NETWORK.guest.replace("15", "16"), NETWORK.names, 53, questionOf("spoofed.example"));
    await guest.sh(`ip link set eth0 address ${NETWORK.mac}`);
    await answer("after.example");
    expect(await inside("ip neighbour show")).toContain(`lladdr ${NETWORK.mac} PERMANENT`);
  });

  it("routes nothing and answers no echo, whatever dom0 does, and bounds what connections keep", async () => {
    const read = (name: string): Promise<string> => inside(`cat /proc/sys/net/ipv4/${name}`);
    for (const name of ["ip_forward", "conf/all/accept_local", `conf/${CARD}/accept_local`, `conf/${CARD}/route_localnet`])
      expect((await read(name)).trim(), name).toBe("0");
    expect((await read("icmp_echo_ignore_all")).trim()).toBe("1");
    expect((await read("tcp_rmem")).trim().split(/\s+/).at(-1)).toBe("262144");
    if ((await readFile("/proc/net/if_inet6", "utf8").catch(() => "")) !== "")
      expect((await inside(`ip -6 address show dev ${CARD}`)).trim()).toBe("");
  });

  it("leads to its guest's ports, is held by one process for all daemons, and is gone when it is left", async () => {
    const server = await guest.namespace.listen(22);
    server.on("connection", (socket: Socket) => socket.end("from the guest"));
    expect(await said(await inNetwork.connect(22, NETWORK.guest))).toBe("from the guest");
    server.close();
    expect(await domainNetwork(folder)).toBe(holder);
    await attachCard(holder, CARD); // as a daemon does that finds it
    await leaveNetwork(folder);
    expect(await startTicksOf(holder)).toBeNull();
    expect(await domainNetwork(folder)).not.toBe(holder);
  });

  it("is held by nobody where who holds it cannot be written down", async () => {
    const children = async (): Promise<string> => readFile(`/proc/self/task/${process.pid}/children`, "utf8");
    const before = await children();
    await expect(domainNetwork(path.join(folder, "none"))).rejects.toThrow("ENOENT");
    await until(async () => (await children()) === before);
  });
});
