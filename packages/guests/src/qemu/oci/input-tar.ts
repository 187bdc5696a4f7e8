/**
 * A job's inputs as an archive, laid out as they lie below the guest's root. Who controls the inputs: the customer (names, bytes;
 * vm-rules.ts).
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { InputTree } from "@xenoservers/protocol/channel";
import { pack } from "tar-stream";

export function tarOf({ entries, mounts }: InputTree, blobFile: (digest: string) => string): PassThrough {
  const out = new PassThrough();
  const writer = pack();
  pipeline(writer, out).catch(() => {}); // whoever reads it sees the error
  void (async () => {
    const made = new Set<string>();
    const folder = (name: string): void => {
      const parts = name.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const at = parts.slice(0, i).join("/");
        if (!made.has(at)) writer.entry({ name: at, type: "directory", mode: 0o755 });
        made.add(at);
      }
    };
    for (const { path: mount } of mounts) folder(mount.slice(1));
    for (const entry of entries) {
      const parent = entry.path.split("/").slice(0, -1).join("/");
      if (parent !== "") folder(parent);
      if (entry.kind === "directory") folder(entry.path);
      else if (entry.kind === "link") writer.entry({ name: entry.path, type: "symlink", linkname: entry.target });
      else {
        const file = blobFile(entry.digest);
        const target = writer.entry({ name: entry.path, size: (await stat(file)).size, mode: 0o755 });
        target.on("error", () => {}); // the archive's own error says it
        for await (const part of createReadStream(file))
          if (!target.write(part)) await new Promise((resolve) => target.once("drain", resolve));
        target.end();
      }
    }
    writer.finalize();
  })().catch((error: Error) => out.destroy(error));
  return out;
}
