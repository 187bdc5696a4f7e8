/** Images as programs that people build images with make them, of folders that are difficult on purpose. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { dir, file, hard, tar, whiteout } from "./entries.ts";
import type { Layer } from "./layout.ts";
import { plain, type Row } from "./row.ts";
import { run } from "./trees.ts";

/** In `root`: long names, links of all kinds, holes, bits, owners, attributes, names that are no text. */
const DIFFICULT = `
mkdir -p root/plain root/empty; cd root
echo text > plain/file; chmod 4751 plain/file; ln plain/file plain/second; ln -s ../plain/file empty/link; mkfifo plain/fifo
ln -s $(printf 't%.0s' {1..300}) plain/long-link; ln plain/long-link plain/link-again
mkdir -p deep/$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})
echo long > deep/$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})/$(printf 'f%.0s' {1..200})
printf x > $'not \\377 text'; printf y > $'new\\nline'; printf z > $'\\303\\244'; : > -dash
head -c 300000 /dev/zero | tr '\\0' 'r' > big; touch -d @2000000000 big; touch -d @1500000000.75 plain/file
truncate -s 5M holes; for i in 1 3 4; do printf data$i | dd of=holes bs=1M seek=$i conv=notrunc status=none; done
mkdir -m 700 closed; chmod 1777 empty; chown 3000000:4000000 closed; mknod plain/null c 1 3; mknod plain/disk b 8 17
setfattr -n user.bytes -v 0x00ff0a3d plain/file; cp /bin/true cap; setcap cap_setuid+ep cap
find . -depth -exec touch -h -d @1000000000 {} +; touch -d @1 plain; chmod 755 .; cd ..
`;

/** The archive that a script leaves as out.tar beside that folder. */
const by =
  (script: string) =>
  async (folder: string): Promise<Layer[]> => {
    await run("bash", ["-euc", `${DIFFICULT}\n${script}`], { cwd: folder });
    return plain(await readFile(path.join(folder, "out.tar")));
  };

interface Described {
  digest: string;
  mediaType: string;
}

/** The layers of an image that a script leaves as the layout `out`. */
const image =
  (script: string) =>
  async (folder: string): Promise<Layer[]> => {
    await run("bash", ["-euc", `${DIFFICULT}\n${script}`], { cwd: folder });
    const blob = ({ digest }: { digest: string }): Promise<Buffer> => readFile(path.join(folder, "out/blobs/sha256", digest.slice(7)));
    const index = JSON.parse(await readFile(path.join(folder, "out/index.json"), "utf8")) as { manifests: Described[] };
    const manifest = JSON.parse((await blob(index.manifests.at(-1) ?? { digest: "" })).toString()) as { layers: Described[] };
    const layers: Layer[] = [];
    for (const each of manifest.layers) {
      const packed = await blob(each);
      layers.push({ packed, mediaType: each.mediaType, tar: packed.readUInt16BE(0) === 0x1f8b ? gunzipSync(packed) : packed });
    }
    return layers;
  };

const OLD_SPARSE = "Go's reader leaves GNU's old form of sparse files to its caller";
const COPIES = "with vfs it copies a layer for the next, a link with two names as two";
const COPIED = ["plain/link-again same: plain/link-again, undefined", "plain/long-link same: plain/link-again, undefined"];

const STORE = "--root $PWD/store --runroot $PWD/run --storage-driver vfs";
const TWO_LAYERS = `
umoci init --layout out; umoci new --image out:image; umoci unpack --image out:image bundle
cp -a root/. bundle/rootfs/; umoci repack --refresh-bundle --image out:image bundle
cd bundle/rootfs; rm plain/second; rm -r deep; ln big big2; rm -- -dash; mkdir -- -dash; echo more > empty/more; cd ../..
umoci repack --image out:image bundle
`;

export const BUILT: readonly Row[] = [
  { what: "GNU tar, gnu", layers: by("tar --format=gnu -cf out.tar -C root .") },
  {
    what: "GNU tar, oldgnu, sparse",
    podman: [OLD_SPARSE, "refuses"],
    umoci: [OLD_SPARSE, "refuses"],
    layers: by("tar --format=oldgnu -S -cf out.tar -C root ."),
  },
  { what: "GNU tar, pax, with attributes", layers: by("tar --format=pax --xattrs --xattrs-include='*' -cf out.tar -C root .") },
  { what: "GNU tar, pax, sparse 0.0", layers: by("tar --format=pax -S --sparse-version=0.0 -cf out.tar -C root .") },
  { what: "GNU tar, pax, sparse 0.1", layers: by("tar --format=pax -S --sparse-version=0.1 -cf out.tar -C root .") },
  { what: "GNU tar, pax, sparse 1.0", layers: by("tar --format=pax -S --sparse-version=1.0 -cf out.tar -C root .") },
  {
    what: "GNU tar, ustar",
    layers: by("tar --format=ustar --exclude=./plain/l* --exclude=./deep --exclude=./closed -cf out.tar -C root ."),
  },
  { what: "GNU tar, v7", layers: by("tar --format=v7 --exclude=./plain --exclude=./deep --exclude=./closed -cf out.tar -C root .") },
  {
    what: "GNU tar, appended to and from the root",
    layers: by("tar -P --transform 's,^,/,' -cf out.tar -C root plain; tar -rf out.tar -C root big empty"),
  },
  { what: "bsdtar, pax, with attributes", layers: by("bsdtar --format=pax --xattrs -cf out.tar -C root .") },
  { what: "bsdtar, gnutar", layers: by("bsdtar --format=gnutar -cf out.tar -C root .") },
  {
    what: "bsdtar, ustar",
    layers: by("bsdtar --format=ustar --exclude=./plain/l* --exclude=./deep --exclude=./closed -cf out.tar -C root ."),
  },
  {
    what: "Python's tarfile",
    layers: by('python3 -c \'import tarfile; t = tarfile.open("out.tar", "w"); t.add("root", "."); t.close()\''),
  },
  { what: "BusyBox tar", layers: by("busybox tar -cf out.tar -C root plain/file plain/second empty big holes") },
  { what: "umoci, two layers", podman: [COPIES, COPIED], layers: image(TWO_LAYERS) },
  {
    what: "buildah, from nothing",
    layers: image(
      `c=$(buildah ${STORE} from scratch); buildah ${STORE} copy -q $c root /srv/; buildah ${STORE} commit -q --format oci --rm $c oci:$PWD/out:image`,
    ),
  },
  {
    what: "mmdebstrap",
    layers: by(
      "mmdebstrap --variant=extract --include=base-files,busybox-static,uidmap --mode=root --format=tar bookworm out.tar 2>/dev/null",
    ),
  },
];

const MANY_LAYERS = 127;
const MANY_FILES = 100_000;
const IN_A_FOLDER = 1_000;

export const LARGE: readonly Row[] = [
  {
    what: "127 layers, each of which takes away and brings",
    layers: plain(
      tar(dir("n/"), file("n/last", "0"), file("first", "1")),
      ...Array.from({ length: MANY_LAYERS - 1 }, (_, i) =>
        tar(
          dir("n/"),
          file("n/last", String(i)),
          dir(`n/${i}/`),
          file(`n/${i}/f`, "f"),
          whiteout(`n/${i - 2}`),
          hard(`h${i}`, i === 0 ? "first" : `h${i - 1}`),
        ),
      ),
    ),
  },
  {
    what: "100,000 entries",
    layers: async () =>
      plain(
        tar(
          ...Array.from({ length: MANY_FILES / IN_A_FOLDER }, (_, i) => dir(`d${i}/`)),
          ...Array.from({ length: MANY_FILES - MANY_FILES / IN_A_FOLDER }, (_, i) => file(`d${i % (MANY_FILES / IN_A_FOLDER)}/f${i}`)),
        ),
      ),
  },
];
