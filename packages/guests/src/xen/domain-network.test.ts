/**
 * A domain's network with a pair of cards of this machine's kernel in place of Xen's: what the guest sends arrives at the gate, whatever
 * address it is for, and nowhere else. Needs root; without it no card can be made.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import packet from "dns-packet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTicksOf } from "../pool.ts";
import { Gate } from "../qemu/network/gate.ts";
import { LookUpRoom } from "../qemu/network/look-ups.ts";
import { NetNamespace } from "../qemu/network/namespace.ts";
import { NETWORK, attachCard, domainNetwork, leaveNetwork } from "./domain-network.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const PORT = 80;
const SOMEWHERE = "93.184.216.34";
const ASK = `my $at = IO::Socket::INET->new(PeerAddr => "${NETWORK.gateway}", PeerPort => ${PORT}); print $at && <$at> // "nothing"`;
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)("a domain's network", () => {
  let folder: string;
  let guest: ChildProcess;
  let holder: number;
  let inGuest: NetNamespace;
  let inNetwork: NetNamespace;
  let gate: Gate;
  let outside: Server;
  const dialled: string[] = [];
  const inside = (words: string): Promise<{ stdout: string }> =>
    run("nsenter", ["--target", String(guest.pid), "--net", "sh", "-ec", words]);

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-network-"));
    holder = await domainNetwork(folder);
    guest = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep infinity"], { stdio: ["ignore", "pipe", "ignore"] });
    await once(guest.stdout!, "data");
    // made there, so that nothing of this machine's own network sees them
    const [card, far] = ["vif7.0", "eth0"];
    await inside(`ip link add ${card} type veth peer name ${far} address ${NETWORK.mac}`);
    await inside(`ip link set ${far} up; ip address add ${NETWORK.guest}/24 dev ${far}; ip route add default via ${NETWORK.gateway}`);
    await inside(`ip link set ${card} netns 1`);
    await attachCard(holder, card);
    inGuest = new NetNamespace(guest.pid!);
    inNetwork = new NetNamespace(holder);
    outside = createServer((socket) => socket.end("from outside"));
    await once(outside.listen(0, "127.0.0.1"), "listening");
    dialled.length = 0;
    gate = new Gate({
      ...{ lease: "l", egress: "public", ports: [PORT], bytesMax: MIB, bytesUsed: 0, bytesPerSecondMax: 1_000 * MIB },
      isPublic: (address) => address === SOMEWHERE,
      record: () => {},
      lookUps: new LookUpRoom(),
      resolve: async () => [SOMEWHERE],
      dial: (address, port) => {
        dialled.push(`${address}:${port}`);
        return connect({ host: "127.0.0.1", port: (outside.address() as AddressInfo).port });
      },
    });
    await gate.start(inNetwork);
  });
  afterEach(async () => {
    await gate.close();
    await Promise.all([inGuest.close(), inNetwork.close()]);
    outside.close();
    guest.kill("SIGKILL");
    await leaveNetwork(folder);
    await rm(folder, { recursive: true });
  });

  const said = async (socket: Socket): Promise<string> => {
    let text = "";
    for await (const part of socket) text += String(part);
    return text;
  };

  it("lets what its guest connects to arrive at the gate, by the address that was meant, and refuses what is not open", async () => {
    expect(await said(await inGuest.connect(PORT, SOMEWHERE))).toBe("from outside");
    expect(dialled).toEqual([`${SOMEWHERE}:${PORT}`]);
    await expect(inGuest.connect(81, SOMEWHERE)).rejects.toThrow("ECONNREFUSED");
    const { stdout } = await inside(`perl -MIO::Socket::INET -e '${ASK}'`); // it is nobody's address outside
    expect(stdout).toBe("nothing");
    expect(dialled).toHaveLength(1);
  });

  it("answers names from the address that was asked", async () => {
    const question = packet.encode({
      type: "query",
      id: 7,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: "A", name: "a.example" }],
    });
    const datagrams = await inGuest.datagrams(5_353);
    const answered = once(datagrams, "message") as Promise<[Buffer, { address: string }]>;
    datagrams.send(question, 53, NETWORK.names);
    const [bytes, from] = await answered;
    expect(from.address).toBe(NETWORK.names);
    expect(packet.decode(bytes).answers).toMatchObject([{ data: SOMEWHERE }]);
    datagrams.close();
  });

  it("leads to its guest's ports, is held by one process for all daemons, and is gone when it is left", async () => {
    const server = await inGuest.listen(22);
    server.on("connection", (socket: Socket) => socket.end("from the guest"));
    expect(await said(await inNetwork.connect(22, NETWORK.guest))).toBe("from the guest");
    server.close();
    expect(await domainNetwork(folder)).toBe(holder);
    await leaveNetwork(folder);
    expect(await startTicksOf(holder)).toBeNull();
    expect(await domainNetwork(folder)).not.toBe(holder);
  });
});
