/** Layers packed as registries have them: what their types say is often wrong, and what packs them makes many members or frames. */
import { gzipSync, zstdCompressSync } from "node:zlib";
import { END, dir, file } from "./entries.ts";
import type { Layer } from "./layout.ts";
import type { Row } from "./row.ts";
import { run } from "./trees.ts";

const GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
const TAR = "application/vnd.oci.image.layer.v1.tar";

const parts = [dir("d/"), file("d/a", "text ".repeat(400)), file("d/b", Buffer.alloc(70_000, 7)), END];
const whole = Buffer.concat(parts);

const row = (what: string, mediaType: string, packed: Buffer, more: Partial<Row> & Partial<Layer> = {}): Row => {
  const { tar: archive = whole, ...rest } = more;
  return { what, layers: [{ tar: archive, packed, mediaType }], ...rest };
};

const skipped = (bytes: Buffer): Buffer => {
  const head = Buffer.from("502a4d1800000000", "hex");
  head.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
};

/** As stargz-snapshotter packs: each entry a member of its own, a landmark, a table of contents, and a last member that says where that is. */
const landmarked = [
  file(".no.prefetch.landmark", "\x0f"),
  ...parts.slice(0, -1),
  file("stargz.index.json", '{"version":1,"entries":[]}'),
  END,
];
const footer = Buffer.from("1f8b08040000000000ff1a00534716003030303030303030303030303061303053544152475a", "hex");
const estargz = Buffer.concat([...landmarked.map((part) => gzipSync(part)), footer, Buffer.from("010000ffff0000000000000000", "hex")]);

const through = async (program: string, args: readonly string[], bytes: Buffer): Promise<Buffer> => {
  const child = run(program, [...args], { encoding: "buffer", maxBuffer: 1 << 26 });
  child.child.stdin?.end(bytes);
  return (await child).stdout as unknown as Buffer;
};
type Made = (pack: (args: readonly string[], bytes: Buffer) => Promise<Buffer>) => Promise<Buffer>;
/** By a program, in one stream unless `made` says otherwise. */
const byProgram = (what: string, program: string, made: Made, more: Partial<Row> = {}): Row => ({
  what,
  layers: async () => [{ tar: whole, packed: await made((args, bytes) => through(program, args, bytes)), mediaType: GZIP }],
  umoci: [BY_TYPE, "refuses"],
  ...more,
});

const TAPE = "as the program itself takes it, which passes over what comes after its streams";
const DICTIONARY = "an owner's box has memory for what xz itself makes; podman has no bound";
const ZEROS = "to it a member has to follow; to gzip(1) zeros are what a tape was filled up with";
const BY_TYPE = "it believes the type; types are often wrong, and podman looks at the bytes";
const NO_ZSTD = "its version is older than zstd in images";
const HALF = gzipSync(whole).subarray(0, 200);

export const PACKED: readonly Row[] = [
  row("gzip in two members", GZIP, Buffer.concat([gzipSync(whole.subarray(0, 1_000)), gzipSync(whole.subarray(1_000))])),
  row("gzip in members of which one is empty", GZIP, Buffer.concat([gzipSync(""), gzipSync(whole), gzipSync("")])),
  row(
    "gzip with a name, a comment and a time in its header",
    GZIP,
    Buffer.concat([Buffer.from("1f8b081801020304020361006200", "hex"), gzipSync(whole).subarray(10)]),
  ),
  row("gzip under the type of an archive", TAR, gzipSync(whole), { umoci: [BY_TYPE, "refuses"] }),
  row("an archive under the type of gzip", GZIP, whole, { umoci: [BY_TYPE, "refuses"] }),
  row("zstd", ZSTD, zstdCompressSync(whole), { umoci: [NO_ZSTD, "refuses"] }),
  row("zstd under the type of gzip", GZIP, zstdCompressSync(whole), { umoci: [BY_TYPE, "refuses"] }),
  row(
    "zstd in frames, a part of the archive each",
    ZSTD,
    Buffer.concat([whole.subarray(0, 99), whole.subarray(99, 100), whole.subarray(100)].map((part) => zstdCompressSync(part))),
    { umoci: [NO_ZSTD, "refuses"] },
  ),
  row(
    "zstd:chunked: frames for entries, then what is to be skipped",
    ZSTD,
    Buffer.concat([
      ...parts.map((part) => zstdCompressSync(part)),
      skipped(zstdCompressSync(Buffer.from("{}"))),
      skipped(Buffer.alloc(40, 1)),
    ]),
    { umoci: [NO_ZSTD, "refuses"] },
  ),
  row("zstd that begins with what is to be skipped", ZSTD, Buffer.concat([skipped(Buffer.from("first")), zstdCompressSync(whole)]), {
    umoci: [NO_ZSTD, "refuses"],
    podman: ["its library wants a frame of data first", "refuses"],
  }),
  row("eStargz: a member for each entry, landmarks, contents", GZIP, estargz, { tar: Buffer.concat(landmarked) }),
  row("gzip that is cut off", GZIP, HALF, { refused: "a layer is damaged" }),
  row("gzip with a wrong sum", GZIP, Buffer.concat([gzipSync(whole).subarray(0, -8), Buffer.alloc(8)]), { refused: "a layer is damaged" }),
  row("zstd that is cut off", ZSTD, zstdCompressSync(whole).subarray(0, -9), { refused: "a layer is damaged" }),
  row("gzip with zeros after it", GZIP, Buffer.concat([gzipSync(whole), Buffer.alloc(600)]), {
    podman: [ZEROS, "refuses"],
    umoci: [ZEROS, "refuses"],
  }),
  row("gzip with garbage after it", GZIP, Buffer.concat([gzipSync(whole), Buffer.from("garbage after it")]), {
    refused: "a layer is damaged",
  }),
  row("nothing that is an archive", GZIP, Buffer.alloc(4_096, 0x41), { tar: Buffer.alloc(4_096, 0x41), refused: "a layer is damaged" }),
  byProgram("bzip2", "bzip2", (pack) => pack(["-c"], whole)),
  byProgram("bzip2 in two streams", "bzip2", async (pack) =>
    Buffer.concat([await pack(["-c1"], whole.subarray(0, 1_000)), await pack(["-c9"], whole.subarray(1_000))]),
  ),
  byProgram("bzip2 that is cut off", "bzip2", async (pack) => (await pack(["-c"], whole)).subarray(0, -9), { refused: "bzip2 says" }),
  byProgram("bzip2 with garbage after it", "bzip2", async (pack) => Buffer.concat([await pack(["-c"], whole), Buffer.from("garbage")]), {
    podman: [TAPE, "refuses"],
  }),
  byProgram("xz", "xz", (pack) => pack(["-c"], whole)),
  byProgram("xz in two streams with padding", "xz", async (pack) =>
    Buffer.concat([await pack(["-c"], whole.subarray(0, 1_000)), Buffer.alloc(8), await pack(["-c"], whole.subarray(1_000))]),
  ),
  byProgram("xz in blocks, for several processors", "xz", (pack) => pack(["-c", "-T2", "--block-size=4KiB"], whole)),
  byProgram("xz with the sum of a hash", "xz", (pack) => pack(["-c", "--check=sha256"], whole)),
  byProgram("xz with a filter for programs", "xz", (pack) => pack(["-c", "--x86", "--lzma2"], whole), {
    podman: ["its library knows no filters", "refuses"],
  }),
  byProgram("xz -9e", "xz", (pack) => pack(["-c9e"], whole)),
  byProgram("xz with a dictionary of a GiB", "xz", (pack) => pack(["-c", "--lzma2=dict=1GiB"], whole), {
    refused: "xz says",
    podman: [DICTIONARY, "takes"],
  }),
  byProgram("xz that is cut off", "xz", async (pack) => (await pack(["-c"], whole)).subarray(0, -9), { refused: "xz says" }),
  byProgram(
    "xz with a byte changed",
    "xz",
    async (pack) => {
      const packed = await pack(["-c"], whole);
      packed[200] = (packed[200] ?? 0) ^ 1;
      return packed;
    },
    { refused: "xz says" },
  ),
];
