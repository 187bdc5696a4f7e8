/** Folders of many small files: what each costs on the wire. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, expect, it } from "vitest";
import type { MachineLink } from "../session/machine-link.ts";
import { copyIn } from "./copy-in.ts";
import { GuestFiles } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";

const FILES = 200;
const here = new ShellHere();
afterEach(() => here.end());

it.skipIf(!hasPerl)("go into a guest with one message for each file, not two", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-small-files-"));
  try {
    await mkdir(path.join(folder, "from"));
    for (let i = 0; i < FILES; i++) await writeFile(path.join(folder, "from", String(i)), "x".repeat(i));
    const port = here.port();
    let messages = 0;
    const counting = {
      async shell(wire: Duplex) {
        wire.on("data", (bytes: Buffer) => {
          messages++;
          port.write(bytes);
        });
        port.on("data", (bytes: Buffer) => wire.write(bytes));
      },
    } as unknown as MachineLink;
    const files = await GuestFiles.open(counting);
    await copyIn(files, path.join(folder, "from"), path.join(folder, "to"), { owners: false });
    files.close();
    expect(await readdir(path.join(folder, "to"))).toHaveLength(FILES);
    // what begins and ends the folder besides
    expect(messages).toBeLessThan(FILES + 10);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
