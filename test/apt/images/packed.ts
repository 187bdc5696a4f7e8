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

const packedBy = async (program: string, args: string[]): Promise<Layer[]> => {
  const child = run(program, args, { encoding: "buffer", maxBuffer: 1 << 26 });
  child.child.stdin?.end(whole);
  return [{ tar: whole, packed: (await child).stdout as unknown as Buffer, mediaType: GZIP }];
};

const NOT_IN_SPEC = "the specification has gzip, zstd and nothing else, and an owner's server has no program for more";
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
  { what: "bzip2", layers: () => packedBy("bzip2", ["-c"]), refused: "packed with bzip2", podman: [NOT_IN_SPEC, "takes"] },
  { what: "xz", layers: () => packedBy("xz", ["-c"]), refused: "packed with xz", podman: [NOT_IN_SPEC, "takes"] },
];
