/**
 * Where the state of a domain ends as xl sends it, which says so in it alone: xl's own head (xl_saveFile), then libxl's records, one of
 * which is followed by libxc's (docs/specs/libxl-migration-stream, libxc-migration-stream). Who controls the inputs: the toolstack; the
 * guest, what is in its pages.
 */

/** What comes next has a head of that many bytes. */
const HEADS = { file: 48, libxl: 16, "libxl record": 8, libxc: 40, "libxc record": 8, nothing: 0 } as const;
type Head = keyof typeof HEADS;

const FILE_MAGIC = "Xen saved domain, xl format";
const LIBXL_MAGIC = "LibxlFmt";
const LIBXC_MAGIC = "XENF";
/** Of both kinds of records. */
const END = 0;
/** Of libxl's: libxc's follow it. */
const LIBXC_CONTEXT = 1;
const ALIGNED = 8;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNED) * ALIGNED;

interface Next {
  head: Head;
  /** Before it. */
  skip: number;
}

function recordAfter(of: "libxl record" | "libxc record", head: Buffer): Next {
  const [type, length] = [head.readUInt32LE(0), head.readUInt32LE(4)];
  const skip = aligned(length);
  if (type === END) return { head: of === "libxc record" ? "libxl record" : "nothing", skip };
  return { head: of === "libxl record" && type === LIBXC_CONTEXT ? "libxc" : of, skip };
}

const isCalled = (head: Buffer, at: number, name: string): boolean => head.toString("latin1", at, at + name.length) === name;

/** Throws where it is no such head. */
function after(of: Head, head: Buffer): Next {
  if (of === "file" && isCalled(head, 0, FILE_MAGIC)) return { head: "libxl", skip: head.readUInt32LE(44) };
  if (of === "libxl" && isCalled(head, 0, LIBXL_MAGIC)) return { head: "libxl record", skip: 0 };
  if (of === "libxc" && isCalled(head, 8, LIBXC_MAGIC)) return { head: "libxc record", skip: 0 };
  if (of === "libxl record" || of === "libxc record") return recordAfter(of, head);
  throw new Error(`xl sends what is no state of a domain that is known here (${of})`);
}

export class SaveStream {
  #awaited: Head = "file";
  #skip = 0;
  #head = Buffer.alloc(0);

  /** Whether that was the last of it. */
  get isOver(): boolean {
    return this.#awaited === "nothing" && this.#skip === 0;
  }

  /** The next bytes. Throws where they are none of such a stream, or behind its end. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.isOver) throw new Error("xl sends more behind the end of a domain's state");
      const wanted = this.#skip > 0 ? this.#skip : HEADS[this.#awaited] - this.#head.length;
      const part = bytes.subarray(at, at + wanted);
      at += part.length;
      if (this.#skip > 0) this.#skip -= part.length;
      else this.#take(part);
    }
  }

  #take(part: Uint8Array): void {
    this.#head = Buffer.concat([this.#head, part]);
    if (this.#head.length < HEADS[this.#awaited]) return;
    const next = after(this.#awaited, this.#head);
    [this.#awaited, this.#skip, this.#head] = [next.head, next.skip, Buffer.alloc(0)];
  }
}
