/**
 * Archives for initial RAM disks: cpio "newc" (Linux Documentation/driver-api/early-userspace/buffer-format). The same entries give the
 * same bytes.
 */
const ALIGN = 4;

export interface CpioEntry {
  path: string;
  /** File type and permission bits. */
  mode: number;
  data?: Uint8Array;
  /** Of a link. */
  target?: string;
}

export const MODE = { directory: 0o040755, file: 0o100644, program: 0o100755, link: 0o120777 } as const;

const padded = (size: number): number => (ALIGN - (size % ALIGN)) % ALIGN;

function record(name: string, mode: number, data: Uint8Array, inode: number): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, nameBytes.length, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, "0")).join("")}`);
  const head = Buffer.concat([header, nameBytes]);
  return Buffer.concat([head, Buffer.alloc(padded(head.length)), data, Buffer.alloc(padded(data.length))]);
}

const NOTHING = new Uint8Array(0);

/** Folders above the entries are added. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const made = new Set<string>();
  const add = (name: string, mode: number, data: Uint8Array): void => {
    if (made.has(name)) return;
    made.add(name);
    parts.push(record(name, mode, data, made.size));
  };
  for (const { path, mode, data = NOTHING, target } of entries) {
    const names = path.split("/");
    for (let i = 1; i < names.length; i++) add(names.slice(0, i).join("/"), MODE.directory, NOTHING);
    add(path, mode, target === undefined ? data : Buffer.from(target));
  }
  parts.push(record("TRAILER!!!", 0, NOTHING, 0));
  return Buffer.concat(parts);
}
