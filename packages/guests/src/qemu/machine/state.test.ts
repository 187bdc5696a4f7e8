/** What is put into a machine that waits for its state: a socket in QEMU's place, on a real file system. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { VM_FILES } from "./plan.ts";
import { loadState } from "./state.ts";
import { boxFolder, boxPath } from "./vm.ts";

const MIB = 1024 * 1024;
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-state-"));
  await mkdir(boxFolder(folder));
  file = path.join(folder, "state");
  await writeFile(file, Buffer.alloc(16 * MIB, 7));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Loads it into what reads as `hear` does, and then says of itself what `says` is. */
async function loaded(hear: (socket: Socket) => void, says: Record<string, unknown>): Promise<void> {
  const server = createServer(hear);
  const qmp = async (command: string): Promise<unknown> => {
    if (command !== "migrate-incoming") return says;
    await new Promise<void>((resolve) => server.listen(boxPath(folder, VM_FILES.migrate), resolve));
    return {};
  };
  try {
    await loadState({ folder, qmp }, file);
  } finally {
    server.close();
  }
}

const hangsUp = (socket: Socket): void => void socket.once("data", () => socket.destroy());

it("a state that QEMU says it has is loaded, though it hung up before all was said", async () => {
  await loaded(hangsUp, { status: "completed" });
});

it("one that it does not take is not, in its own words and with what became of the connection", async () => {
  const failed = loaded(hangsUp, { status: "failed", "error-desc": "the devices differ" });
  await expect(failed).rejects.toThrow(/the machine's state could not be moved: the devices differ \(.*(EPIPE|ECONNRESET|Premature)/);
});
