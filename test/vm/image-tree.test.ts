/** What a running machine shows of an odd image is what umoci unpacks of it: the same commands, there and in a chroot here. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { device, dir, fifo, file, hard, opaque, symlink, tar, whiteout } from "../apt/images/entries.ts";
import { writeLayout } from "../apt/images/layout.ts";
import { plain } from "../apt/images/row.ts";
import { BUSYBOX, openEnds, type EndsBench } from "./machine-ends.ts";
import { machines, run } from "./support.ts";

const long = `${"long/".repeat(60)}name`;
const CAPABILITY = "\x01\0\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/** What all names of a file say of it: umoci believes the first, podman the last. */
const ONE = { mode: 0o4711, uid: 3_000_000 };

/** For its owner, user 33, its group and others (linux/posix_acl_xattr.h). */
function accessList(permissions: readonly [owner: number, user: number, group: number, others: number]): string {
  const [owner, user, group, others] = permissions;
  const entries = [
    [1, owner, -1],
    [2, user, 33],
    [4, group, -1],
    [16, 7, -1],
    [32, others, -1],
  ] as const;
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  for (const [i, [tag, permission, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * i);
    bytes.writeUInt16LE(permission, 6 + 8 * i);
    bytes.writeInt32LE(id, 8 + 8 * i);
  }
  return bytes.toString("latin1");
}
const listed = (...names: readonly string[]): { mode: number; xattrs: [string, string][] } => ({
  ...{ mode: 0o770, xattrs: names.map((name) => [`system.posix_acl_${name}`, accessList([7, 5, 4, 0])]) },
});

/** Below a folder, for the root holds what every machine has. */
const ODD = [
  tar(
    dir("odd/", { mode: 0o1777, uid: 5, gid: 6, mtime: 7 }),
    ...[dir("odd/gone/"), file("odd/gone/f", "1"), dir("odd/kept/", { mode: 0o2750 }), file("odd/kept/a", "a"), file("odd/kept/b", "b")],
    ...[dir("odd/usr/"), dir("odd/usr/lib/"), symlink("odd/lib", "usr/lib"), file("odd/one", "1", ONE)],
    ...[
      hard("odd/two", "odd/one", ONE),
      file("odd/first", "f"),
      file("odd/\xff\xe4", "not UTF-8"),
      fifo("odd/fifo"),
      device("3", "odd/null", 1, 3),
    ],
    ...[symlink("odd/up", "", { pax: [["linkpath", `../${long}`]] }), file("odd/late", "l", { mtime: 2 ** 31 + 5 })],
    file("odd/cap", "program", { mode: 0o755, xattrs: [["security.capability", CAPABILITY]] }),
    file("f", "long", { pax: [["path", `odd/${long}`]] }),
    ...[
      dir("odd/acl/", listed("access", "default")),
      file("odd/acl/kept", "a", listed("access")),
      file("odd/acl/gone", "a", listed("access")),
    ],
    ...[file("odd/acl/again", "a", listed("access")), file("odd/acl/new\nline\n", "a", listed("access"))],
  ),
  tar(dir("odd/kept/", { mode: 0o2750 }), opaque("odd/kept/"), file("odd/kept/c", "c"), whiteout("odd/gone"), file("odd/lib/x", "x")),
  tar(hard("odd/three", "odd/two", ONE), whiteout("odd/first"), file("odd/first/now", "a folder")),
  tar(file("odd/acl/again", "b", { mode: 0o640 }), whiteout("odd/acl/gone"), symlink("odd/acl/link", "kept")),
  tar(
    dir("./", {
      mode: 0o711,
      uid: 8,
      gid: 9,
      xattrs: [
        ["user.root", "of the image"],
        ["trusted.x", "\0\xff"],
      ],
    }),
  ),
];

const GETFATTR = "for f in /usr/bin/getfattr $(ldd /usr/bin/getfattr | grep -o '/[^ ]*'); do mkdir -p .$(dirname $f); cp -L $f .$f; done";

const SHOWS = `
stat -c '%a %u:%g' /; cd /odd
find . -type d -print0 | sort -z | xargs -0 stat -c '%n|%F|%a|%u:%g'
find . ! -type d -print0 | sort -z | xargs -0 stat -c '%N|%F|%a|%u:%g|%h|%s|%Y|%t:%T'
find . -type f -print0 | sort -z | xargs -0 sha256sum
getfattr -h -d -m - -e hex --absolute-names / /odd/cap
find /odd/acl -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex --absolute-names | grep -v trusted.overlay
`;

machines("images as machines show them", () => {
  let bench: EndsBench;
  beforeAll(async () => {
    bench = await openEnds();
  });
  afterAll(() => bench.close());

  it("as umoci unpacks them: layers on top of each other, owners, modes, times, links, and the root's own", async () => {
    const box = await bench.layer(`${BUSYBOX}; ${GETFATTR}`, "tar --mtime=@1 -cf ../out.tar *");
    const layers = [box];
    for (const [i, archive] of ODD.entries()) {
      const at = path.join(bench.folder, `odd${i}`);
      await writeFile(at, archive);
      layers.push(await bench.blob(at));
    }
    const layout = path.join(bench.folder, "layout");
    await writeLayout(layout, [...plain(await readFile(path.join(bench.folder, "blobs", box))), ...plain(...ODD)]);
    const bundle = path.join(bench.folder, "bundle");
    await run("umoci", ["unpack", "--image", `${layout}:image`, bundle]);
    const theirs = await run("chroot", [path.join(bundle, "rootfs"), "/bin/sh", "-c", SHOWS], { encoding: "latin1" });
    const came = await bench.run({ vm: bench.image(layers, ["sh", "-c", SHOWS]) });
    expect(came).toMatchObject({ ended: { kind: "result", reason: "completed", exitCode: 0 } });
    const ours = "stdout" in came ? came.stdout : "";
    expect(ours.split("\n")).toEqual(Buffer.from(theirs.stdout, "latin1").toString().split("\n"));
    expect(ours).toMatch(/^711 8:9\n/);
    expect(ours).toMatch(/file: \/\n(.*\n)?user\.root=0x6f66/);
  });
});
