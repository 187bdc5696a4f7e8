/** The port `xeno.stdin` between the host's end and the guest's own program for it (init/container.pl), over a socket in place of the port. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TUNNEL_WINDOW_BYTES } from "@xenoservers/protocol/channel";
import { connectSocket } from "../machine/qmp.ts";
import { StdinPort, frameOf } from "./stdin-port.ts";

const INIT = path.resolve(import.meta.dirname, "../init/container.pl");
/** The init's loop around its input alone: the port is its descriptor 3, the program's input its output. */
const LOOP = `
  sub fail { die @_ } do $ARGV[0] or die $@;
  $SIG{PIPE} = 'IGNORE';
  open(my $port, '+<&=', 3); open(my $to, '>&', 1); close STDOUT; nonblocking($to);
  my $input = input($port, $to, undef);
  while (1) { my ($r, $w) = ('', ''); $input->{wants}->(\\$r, \\$w); my $n = select($r, $w, undef, 1); $input->{moved}->($n > 0 ? ($r, $w) : ('', '')) }
`;

let folder = "";
let server: Server;
let guest: ChildProcess;
/** What joins whoever connects to the guest, as QEMU does. */
let inner: Socket | null = null;
let port: StdinPort | null = null;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-stdin-"));
  guest = spawn("perl", ["-e", LOOP, INIT], { stdio: ["ignore", "pipe", "inherit", "pipe"] });
  inner = guest.stdio[3] as Socket;
  server = createServer((outer) => {
    outer.on("error", () => {});
    outer.pipe(inner!, { end: false });
    inner?.pipe(outer);
    outer.once("close", () => inner?.unpipe(outer));
  });
  await new Promise<void>((resolve) => server.listen(path.join(folder, "s"), resolve));
});
afterEach(async () => {
  port?.close();
  port = null;
  guest.kill("SIGKILL");
  await once(guest, "close");
  server.close();
  await rm(folder, { recursive: true, force: true });
});

let changed = (): void => {};
async function opened(): Promise<StdinPort> {
  const now = new StdinPort(await connectSocket(path.join(folder, "s")), () => changed());
  port = now;
  await taken(now, (bytes) => bytes !== null);
  return now;
}
const taken = (from: StdinPort, is: (bytes: number | null) => boolean): Promise<void> =>
  new Promise((resolve) => {
    changed = () => is(from.taken) && resolve();
    changed();
  });

describe("what a program reads", () => {
  it("comes as it was sent, whatever its bytes, and ends", async () => {
    const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.alloc(300, 0x7e), Buffer.alloc(300, 0x7d)]);
    const read = once(guest.stdout!.setEncoding("latin1"), "data");
    const now = await opened();
    expect(now.receive(0, bytes.subarray(0, 100), false)).toBeNull();
    expect(now.receive(100, bytes.subarray(100), true)).toBeNull();
    const [first] = (await read) as [string];
    let said = first;
    guest.stdout!.on("data", (more: string) => (said += more));
    await once(guest.stdout!, "end");
    expect(Buffer.from(said, "latin1").equals(bytes)).toBe(true);
    await taken(now, (count) => count === bytes.length);
  });

  it("is taken no faster than it is read, and no more than a window is let through", async () => {
    const now = await opened();
    guest.stdout!.pause();
    expect(now.receive(0, Buffer.alloc(TUNNEL_WINDOW_BYTES, 1), false)).toBeNull();
    expect(now.receive(TUNNEL_WINDOW_BYTES, Buffer.alloc(TUNNEL_WINDOW_BYTES, 1), false)).toContain("more input was sent");
    expect(now.taken).toBeLessThan(TUNNEL_WINDOW_BYTES);
    guest.stdout!.resume();
    await taken(now, (count) => count === TUNNEL_WINDOW_BYTES);
  });

  it("is taken once, though the daemon was killed in the middle of a frame and the next says it again", async () => {
    let said = "";
    guest.stdout!.setEncoding("latin1").on("data", (more: string) => (said += more));
    const first = await opened();
    expect(first.receive(0, Buffer.from("0123"), false)).toBeNull();
    await taken(first, (count) => count === 4);
    first.close();
    const half = await connectSocket(path.join(folder, "s"));
    const frame = frameOf("D", 4, Buffer.from("4567~~89"));
    await new Promise<void>((resolve) => half.write(frame.subarray(0, -6), () => resolve()));
    half.destroy();
    await once(half, "close");
    const next = await opened();
    // what it says was taken may not yet count what was under way
    expect([4, 8]).toContain(next.taken);
    expect(next.receive(next.taken!, Buffer.from("0123456789~~ab".slice(next.taken!)), true)).toBeNull();
    await once(guest.stdout!, "end");
    expect(said.startsWith("01234567")).toBe(true);
    expect(said).toHaveLength(14);
    expect(next.receive(0, Buffer.from("again"), false)).toBeNull();
  });

  it("is refused where it came out of its order", async () => {
    const now = await opened();
    expect(now.receive(1, Buffer.from("x"), false)).toContain("out of its order");
  });

  it("waits in the host within bounds, though a guest says that it has taken what it never read", async () => {
    const liar = createServer();
    const at = path.join(folder, "liar");
    await new Promise<void>((resolve) => liar.listen(at, resolve));
    const joined = once(liar, "connection") as Promise<[Socket]>;
    const socket = await connectSocket(at);
    const [end] = await joined;
    end.pause();
    const now = new StdinPort(socket, () => changed());
    port = now;
    end.write("0\n");
    await taken(now, (count) => count === 0);
    const piece = Buffer.alloc(128 * 1024, 0x7e);
    let [sent, refused] = [0, ""];
    for (let i = 0; i < 64; i++) {
      refused = now.receive(sent, piece, false) ?? "";
      if (refused !== "") break;
      sent += piece.length;
      end.write(`${sent}\n`);
      await taken(now, (count) => count === sent);
    }
    const waiting = socket.writableLength;
    end.destroy();
    liar.close();
    expect(refused).toContain("more input was sent");
    expect(waiting).toBeLessThan(4 * TUNNEL_WINDOW_BYTES);
  });
});
