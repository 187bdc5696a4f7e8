/**
 * A stopped machine's state as a stream (QEMU docs/devel/migration), and what of it is read here. Who controls the inputs: QEMU, taken to
 * be the guest's.
 */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { pipeline } from "node:stream/promises";
import { isRecord } from "../../json.ts";
import { giveToBox, boxPath, type Vm } from "./vm.ts";
import { VM_FILES } from "./plan.ts";
import { QmpError, connectSocket } from "./qmp.ts";

const POLL_MS = 5;
const TIMEOUT_MS = 10 * 60_000;

async function migrated(vm: Pick<Vm, "qmp">): Promise<void> {
  for (const deadline = Date.now() + TIMEOUT_MS; ;) {
    const answer = await vm.qmp("query-migrate");
    if (!isRecord(answer)) throw new QmpError("QEMU does not say how far the machine's state has come");
    const { status, "error-desc": why } = answer;
    if (status === "completed") return;
    if (status === "failed" || status === "cancelled")
      throw new Error(`the machine's state could not be moved: ${typeof why === "string" ? why : status}`);
    if (Date.now() > deadline) throw new Error("the machine's state took too long");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Memory in a shared file stays there; only the rest goes into the stream. */
export const ignoreSharedMemory = (vm: Vm): Promise<void> => setUp(vm, true);

/** All of it goes into the stream, also of a machine that was itself started from shared memory. */
export const wholeMemory = (vm: Vm): Promise<void> => setUp(vm, false);

/** Both ends must be told alike: the stream's form depends on it. */
async function setUp(vm: Vm, ignoreShared: boolean): Promise<void> {
  const capabilities = [
    { capability: "x-ignore-shared", state: ignoreShared },
    { capability: "pause-before-switchover", state: false },
  ];
  await vm.qmp("migrate-set-capabilities", { capabilities });
  // nobody shares the link with us; what may take longer is sent while QEMU answers
  await vm.qmp("migrate-set-parameters", { "max-bandwidth": 10_000_000_000, "downtime-limit": 1 });
}

/** The state of a stopped machine, given to `each` in pieces; memory in a shared file is not in it. */
export async function streamState(vm: Vm, each: (part: Buffer) => void | Promise<void>): Promise<void> {
  const file = boxPath(vm.folder, VM_FILES.migrate);
  await rm(file, { force: true });
  let turn = Promise.resolve();
  const done = Promise.withResolvers<void>();
  done.promise.catch(() => {}); // waited for below, unless QEMU itself refuses to begin
  const server = createServer((socket) => {
    socket.on("data", (bytes: Buffer) => {
      socket.pause();
      turn = turn.then(() => each(bytes)).then(() => void socket.resume());
      turn.catch((error: Error) => socket.destroy(error));
    });
    socket.once("close", () => void turn.then(done.resolve, done.reject));
    socket.once("error", done.reject);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(file, resolve));
  try {
    await giveToBox(file, vm.uid);
    await vm.qmp("migrate", { uri: `unix:/w/${VM_FILES.migrate}` });
    await Promise.all([done.promise, migrated(vm)]);
  } finally {
    server.close();
    await rm(file, { force: true });
  }
}

export async function saveState(vm: Vm): Promise<Buffer> {
  await ignoreSharedMemory(vm);
  const parts: Buffer[] = [];
  await streamState(vm, (part) => void parts.push(part));
  return Buffer.concat(parts);
}

/**
 * Puts a saved state into a machine that waits for one (`-incoming defer`). QEMU hangs up once it has what it wants, be all of it said or
 * not: its own word is how it went.
 */
export async function loadState(vm: Pick<Vm, "folder" | "qmp">, file: string): Promise<void> {
  await vm.qmp("migrate-incoming", { uri: `unix:/w/${VM_FILES.migrate}` });
  const socket = await connectSocket(boxPath(vm.folder, VM_FILES.migrate));
  const broken = await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), socket).then(
    () => null,
    (error: Error) => error,
  );
  await migrated(vm).catch((error: Error) => {
    throw broken === null ? error : new Error(`${error.message} (${broken.message})`, { cause: broken });
  });
}

/** How many instructions a deterministic machine has run: `qemu_icount` of the state's section timer/icount (QEMU softmmu/icount.c). */
export function instructionsOf(state: Buffer): bigint {
  const name = Buffer.concat([Buffer.from([12]), Buffer.from("timer/icount")]);
  const at = state.indexOf(name);
  if (at < 0) throw new Error("the machine's state does not say how many instructions it ran");
  // the subsection's version, then qemu_icount_bias, then qemu_icount
  return state.readBigInt64BE(at + name.length + 4 + 8);
}
