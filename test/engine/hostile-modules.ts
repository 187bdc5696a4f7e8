/** Modules that the platform accepts and that would have a naive host keep, or make, too much: by name, with how large each part is. */
import { Writer } from "../../packages/engine/src/rewrite/binary.ts";

interface Parts {
  /** How many entries each wrote, besides those that every module has. */
  types?: (w: Writer) => number;
  imports?: (w: Writer) => number;
  functions?: number;
  pages?: number;
  globals?: (w: Writer) => number;
  exports?: (w: Writer) => number;
  elements?: (w: Writer) => number;
  /** The first function's; of all where `everyBody`. */
  body?: (w: Writer) => void;
  everyBody?: boolean;
  data?: (w: Writer) => number;
}

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const I32 = 0x7f;
const F64 = 0x7c;
const END = 0x0b;
const put = (w: Writer, ...bytes: number[]): void => {
  for (const byte of bytes) w.byte(byte);
};

function section(out: Writer, id: number, write: (w: Writer) => void): void {
  const content = new Writer(4096);
  write(content);
  out.byte(id);
  out.u32(content.length);
  out.copy(content.view());
}

function list(out: Writer, id: number, write: ((w: Writer) => number) | undefined, own: (w: Writer) => number = () => 0): void {
  section(out, id, (w) => {
    const content = new Writer(4096);
    const count = own(content) + (write?.(content) ?? 0);
    w.u32(count);
    w.copy(content.view());
  });
}

function module({ functions = 1, pages = 1, ...parts }: Parts): Uint8Array {
  const out = new Writer(4096);
  put(out, ...MAGIC);
  list(out, 1, parts.types, (w) => (put(w, 0x60, 0, 0), 1));
  if (parts.imports) list(out, 2, parts.imports);
  section(out, 3, (w) => {
    w.u32(functions);
    for (let i = 0; i < functions; i++) w.byte(0);
  });
  section(out, 5, (w) => {
    put(w, 1, 0);
    w.u32(pages);
  });
  if (parts.globals) list(out, 6, parts.globals);
  list(out, 7, parts.exports, (w) => {
    w.name("memory");
    put(w, 2, 0);
    w.name("_start");
    put(w, 0, 0);
    return 2;
  });
  if (parts.elements) list(out, 9, parts.elements);
  section(out, 10, (w) => {
    w.u32(functions);
    const body = new Writer(64);
    for (let i = 0; i < functions; i++) {
      body.clear();
      if (parts.body && (i === 0 || parts.everyBody)) parts.body(body);
      else put(body, 0, END);
      w.u32(body.length);
      w.copy(body.view());
    }
  });
  if (parts.data) list(out, 11, parts.data);
  return out.view().slice();
}

const times = (count: number, write: (i: number) => void): number => {
  for (let i = 0; i < count; i++) write(i);
  return count;
};

export const HOSTILE = {
  /** Exports of names of 100 kB each. */
  longNames: (count = 300) =>
    module({
      exports: (w) =>
        times(count, (i) => {
          w.name(String(i).padEnd(99_990, "x"));
          put(w, 0, 0);
        }),
    }),
  wideTypes: (count = 5_000) =>
    module({
      types: (w) =>
        times(count, () => {
          put(w, 0x60);
          w.u32(900);
          for (let i = 0; i < 900; i++) w.byte(I32);
          w.u32(0);
        }),
    }),
  mutableGlobals: (count = 900_000) => module({ globals: (w) => times(count, () => put(w, I32, 1, 0x41, 0, END)) }),
  imports: (count = 200_000) =>
    module({
      imports: (w) =>
        times(count, () => {
          w.name("wasi_snapshot_preview1");
          w.name("proc_exit");
          put(w, 0, 0);
        }),
    }),
  functions: (count = 999_999) => module({ functions: count }),
  nestedBlocks: (count = 1_500_000) =>
    module({
      body: (w) => {
        put(w, 0);
        times(count, () => put(w, 0x02, 0x40));
        times(count + 1, () => put(w, END));
      },
    }),
  /** Metered, it is larger than the platform lets a function be. */
  calls: (count = 2_500_000) =>
    module({
      body: (w) => {
        put(w, 0);
        times(count, () => put(w, 0x10, 0));
        put(w, END);
      },
    }),
  elements: (count = 9_000_000) =>
    module({
      elements: (w) => {
        put(w, 1, 0);
        w.u32(count);
        times(count, () => w.byte(0));
        return 1;
      },
    }),
  locals: (functions = 1_000) =>
    module({
      functions,
      everyBody: true,
      body: (w) => {
        w.u32(1);
        w.u32(49_000);
        put(w, F64, END);
      },
    }),
  /** Many locals, and many places where two ways meet. */
  joins: (count = 20_000) =>
    module({
      body: (w) => {
        const locals = 2_000;
        w.u32(1);
        w.u32(locals);
        put(w, I32);
        times(count, (i) => {
          put(w, 0x20);
          w.u32(i % locals);
          put(w, 0x04, 0x40, 0x41, 1, 0x21);
          w.u32((i * 7) % locals);
          put(w, END);
        });
        put(w, END);
      },
    }),
  /** 4 GiB from the start, and a byte in each page. */
  memory: () =>
    module({
      pages: 65_536,
      data: (w) =>
        times(65_536, (i) => {
          put(w, 0, 0x41);
          w.signed(i < 32_768 ? i * 65_536 : i * 65_536 - 2 ** 32);
          put(w, END, 1, 7);
        }),
    }),
  /** Copies between locals, last to first: what is known of each travels one step in a round. */
  slowToRead: (locals = 40_000) =>
    module({
      body: (w) => {
        w.u32(1);
        w.u32(locals);
        put(w, F64);
        for (let round = 0; round < 20; round++)
          times(locals - 1, (i) => {
            put(w, 0x20);
            w.u32(i + 1);
            put(w, 0x21);
            w.u32(i);
          });
        put(w, 0x20);
        w.u32(locals - 1);
        put(w, 0x9f, 0x21);
        w.u32(locals - 1);
        put(w, END);
      },
    }),
} satisfies Record<string, (size?: number) => Uint8Array>;
