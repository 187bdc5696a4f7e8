/** A page that leases machines, of what it holds itself. The test calls what it hangs on the window. */
import { MarketClient, fetchMarket, identityOf, pinsOf } from "@xenoservers/sdk";
import { Market, type Machine, type RunInput } from "@xenoservers/sdk/machines";

let market: Market;

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const held = async (name: string): Promise<Blob> => (await fetch(`/${name}`)).blob();
/** As long as a machine without KVM may take. */
const SMALL = { mem: "256M", accel: "any", maxTime: "30m", budget: "0.50" } as const satisfies RunInput;

/** A new party of the market at that address, which goes on by a token of its own. */
async function login(url: string): Promise<string> {
  const identity = identityOf(crypto.getRandomValues(new Uint8Array(32)));
  const { party, signer } = identity;
  const client = new MarketClient(url, pinsOf(await fetchMarket(url)), identity);
  await client.act("party", { party, name: "a page of machines", rootKey: signer.publicKey, recoveryKey: null });
  const { token } = await Market.of(client).tokens.create({
    label: "of the page",
    scopes: ["spend", "control", "read"],
    maxPerDay: "2.00",
  });
  market = await Market.connect({ token });
  return party;
}

/** What a program prints whose streams the page has. */
async function typed(machine: Machine): Promise<{ said: string; exitCode: number }> {
  const program = await machine.start(["sh", "-c", "stty size; read word; echo got $word; exit 4"], {
    terminal: { columns: 90, rows: 30 },
  });
  const writer = program.stdin.getWriter();
  await writer.write(utf8("a word\n"));
  const said = await new Response(program.stdout as ReadableStream<Uint8Array<ArrayBuffer>>).text();
  return { said, exitCode: (await program.ended).exitCode };
}

/** Says something to a port of the guest, ends it, and gives what comes back. */
async function echoed(machine: Machine, words: string): Promise<string> {
  const { readable, writable } = await machine.connect(8080);
  const writer = writable.getWriter();
  await writer.write(utf8(words));
  await writer.close();
  return new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}

/** A file larger than what is read at once goes in, and comes back. */
async function copied(machine: Machine, bytes: number): Promise<{ size: number; same: boolean; names: string[]; small: string }> {
  const piece = crypto.getRandomValues(new Uint8Array(64 * 1024));
  const file = new File(
    Array.from({ length: bytes / piece.length }, () => piece),
    "large",
  );
  await machine.files.write("/tmp/large", file);
  const back = await machine.files.readBlob("/tmp/large");
  const digest = async (blob: Blob): Promise<string> =>
    String(new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())));
  await machine.files.write("/tmp/small", "a text");
  const small = new TextDecoder().decode(await machine.files.read("/tmp/small"));
  const names = (await machine.files.list("/tmp")).map((entry) => entry.path);
  return { size: back.size, same: (await digest(file)) === (await digest(back)), names, small };
}

/** What a program prints in another lease, which goes on from where this machine is. */
async function inFork(machine: Machine, args: string[]): Promise<string> {
  const [lease] = await machine.fork({ maxTime: "10m", budget: "0.20" });
  const fork = await market.machine(lease ?? "");
  const { stdout } = await fork.exec(args);
  fork.close();
  await market.stop(fork.lease);
  return stdout;
}

/** An image of an archive that the page holds, held while it runs. */
async function image() {
  const script = "cat /in/note; (while :; do nc -l -p 8080 -e cat; done) & echo ready; sleep 100000";
  const sent: number[] = [];
  const job = await market.run({
    ...{ ...SMALL, image: await held("box.tar"), args: ["sh", "-c", script], files: { note: "from the page\n" }, user: "root" },
    ...{ disk: "512M", network: true, label: "from a page", onSent: ({ bytes }) => void sent.push(bytes) },
  });
  let printed = "";
  for await (const { text } of job.output) if ((printed += text).includes("ready")) break;
  const machine = await market.machine(job.lease);
  const cat = await machine.exec(["cat"], { input: "to the guest" });
  const failed = await machine.exec(["sh", "-c", "echo trouble >&2; exit 3"]);
  const program = await typed(machine);
  const port = await echoed(machine, "through the channel");
  const files = await copied(machine, 8 * 1024 * 1024);
  const { snapshot } = await machine.snapshot();
  const forked = await inFork(machine, ["cat", "/tmp/small"]);
  machine.close();
  await job.stop();
  const { end, verification } = await job.result;
  return {
    ...{ printed, cat, failed, program, port, files, snapshot, forked, sent: sent.at(-1) ?? 0, end },
    ...{ ok: verification.ok, again: (await market.verify(job.lease)).ok },
  };
}

/** A machine of a kernel and its RAM disk, to its end. */
async function kernel(append: string) {
  const initrd = new Uint8Array(await (await held("initrd")).arrayBuffer());
  const job = await market.run({ ...SMALL, kernel: new File([await held("kernel")], "vmlinuz"), initrd, append, mem: "192M" });
  const { stdout, end, verification } = await job.result;
  return { stdout, reason: end.reason, ok: verification.ok };
}

/** What the screen of a machine says first. */
async function screen(append: string): Promise<string> {
  const boots = { kernel: await held("kernel"), initrd: (await held("waiting")).stream(), append };
  const job = await market.run({ ...SMALL, ...boots, mem: "192M", screen: true });
  await job.running;
  const machine = await market.machine(job.lease);
  const { readable, writable } = await machine.screen();
  const reader = readable.getReader();
  const { value } = await reader.read();
  await writable.abort();
  await reader.closed.catch(() => {});
  machine.close();
  await job.stop();
  await job.result;
  return new TextDecoder().decode(value);
}

/** What a page's machines cannot have. */
async function refusals(): Promise<string[]> {
  const archive = new Blob(["no archive"]);
  const asked: RunInput[] = [
    ...[{ image: "alpine" }, { vm: "disk.qcow2" }, { vm: "http://images.example/disk.qcow2", disk: "1G" }, { image: archive }],
    ...[{ image: archive, in: "folder" }, { kernel: new Blob(["no kernel"]) }, { image: archive, replicas: 2 } as RunInput],
  ];
  return Promise.all(asked.map((input) => market.run(input).then(() => "done", String)));
}

const xeno = { login, image, kernel, screen, refusals };
export type MachinesPage = typeof xeno;
Object.assign(globalThis, { xeno });
