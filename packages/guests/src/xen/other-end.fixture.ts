/**
 * The guest's end of a card, by a pair of cards of this machine's kernel in place of Xen's: a namespace that stands for the guest. Needs
 * root.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { NetNamespace } from "../qemu/network/namespace.ts";
import { NETWORK } from "./domain-network.ts";

const run = promisify(execFile);

export class OtherEnd {
  readonly namespace: NetNamespace;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.namespace = new NetNamespace(child.pid!);
  }

  static async start(): Promise<OtherEnd> {
    const child = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep infinity"], { stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "data");
    return new OtherEnd(child);
  }

  /** What they print, inside. */
  async sh(words: string): Promise<string> {
    return (await run("nsenter", ["--target", String(this.#process.pid), "--net", "sh", "-ec", words])).stdout;
  }

  /** Its card, whose other end is in dom0 under that name; with an address as QEMU's machines have. Made inside, so that nothing of this machine's own network sees them. */
  async wire(card: string, address: string = NETWORK.guest): Promise<void> {
    await this.sh(`ip link del eth0 2>/dev/null || true; ip link add ${card} type veth peer name eth0 address ${NETWORK.mac}
      ip link set eth0 up; ip address add ${address}/24 dev eth0; ip route add default via ${NETWORK.gateway}
      ip link set ${card} netns ${process.pid}`);
  }

  /** One packet of UDP from an address that it says it has. */
  async sendFrom(address: string, to: string, port: number, bytes: Buffer): Promise<void> {
    await this.sh(`ip address add ${address}/32 dev eth0
      perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "${address}", PeerAddr => "${to}", PeerPort => ${port}) or die; $s->send(pack("H*", "${bytes.toString("hex")}")) or die'
      ip address del ${address}/32 dev eth0`);
  }

  async close(): Promise<void> {
    await this.namespace.close();
    this.#process.kill("SIGKILL");
  }
}
