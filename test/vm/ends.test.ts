/** Whose doing it was: every way in which a customer's image, inputs and limits can end a machine, and none of it is the host's failure. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InputTree } from "@xenoservers/protocol/channel";
import { until } from "../until.ts";
import { BUSYBOX, openEnds, type Came, type EndsBench } from "./machine-ends.ts";
import { initrd, kernel, machines, run } from "./support.ts";

const TREE_OF_OUT: InputTree = { entries: [], mounts: [{ path: "/out", writable: true, keep: true }] };
const completed = (exitCode: number) => ({ ended: { kind: "result", reason: "completed", exitCode } });

machines("how machines end", () => {
  let bench: EndsBench;
  let box: string;
  beforeAll(async () => {
    bench = await openEnds();
    box = await bench.layer(BUSYBOX);
  });
  afterAll(() => bench.close());
  const sh = (script: string, layers: readonly string[] = [], over: object = {}): Promise<Came> =>
    bench.run({ vm: bench.image([box, ...layers], ["sh", "-c", script]), ...over });
  const mountedAt = (at: string): InputTree => ({ entries: [], mounts: [{ path: at, writable: true, keep: false }] });
  /** A file of that content among the inputs. */
  async function input(name: string, content: string | Buffer): Promise<InputTree["entries"][number]> {
    const file = path.join(bench.folder, "input");
    await writeFile(file, content);
    return { path: name, kind: "file", digest: await bench.blob(file), size: Buffer.byteLength(content) };
  }

  describe("images that are unusual, and run", () => {
    it("hard links into lower layers, folders that no layer lists, links in the way (image-spec #1204, #1221)", async () => {
      const first = await bench.layer("mkdir -p usr/lib data; ln -s usr/lib lib; chmod 1777 data; echo first > data/a");
      const second = await bench.layer("mkdir -p lib data; echo x > lib/x; echo b > data/b", "tar -cf ../out.tar lib/x data/b");
      // names the file below, and brings nothing of it
      const third = await bench.layer(
        "mkdir data; echo first > data/a; ln data/a data/c",
        "tar -cf ../out.tar data/a data/c; tar --delete -f ../out.tar data/a",
      );
      const script = "ls -l /data/a /data/c | awk '{print $2}' | tr '\\n' ' '; cat /data/c /lib/x; stat -c %a /data; stat -c %F /lib";
      const came = await sh(script, [first, second, third]);
      expect(came).toMatchObject({ ...completed(0), stdout: "2 2 first\nx\n1777\nsymbolic link\n" });
    });

    it("127 layers, each of which takes away and brings", async () => {
      const layers: string[] = [];
      for (let i = 1; i < 127; i++)
        layers.push(await bench.layer(`mkdir -p n/${i}; echo ${i} > n/last; echo ${i} > n/${i}/f; touch n/.wh.${i - 2}`));
      const came = await sh(
        "cat /n/last; ls /n | tr '\\n' ' '; cat /n/125/f; ls /sys/block | grep -c ^vd; free -m | awk 'NR==2 {print ($2 > 100)}'",
        layers,
      );
      expect(came).toMatchObject({ ...completed(0), stdout: "126\n125 126 last 125\n17\n1\n" });
    });

    it("attributes of files, owners by number, sparse files, devices", async () => {
      const made = await bench.layer(
        "cp /bin/busybox cap; setcap cap_net_raw=ep cap; truncate -s 3M holes; printf end >> holes; mknod null c 1 3; touch mine; chown 4000000000:77 mine; setfattr -n user.a -v b mine",
        "bsdtar --format=pax --xattrs -cf ../out.tar .",
      );
      const came = await sh(
        "stat -c %s:%u:%g /holes /mine; tail -c 3 /holes; echo; echo x > /null; stat -c %F /null; getfattr --help >/dev/null 2>&1; cat /proc/mounts >/dev/null",
        [made],
      );
      expect(came).toMatchObject({ ...completed(0), stdout: "3145731:0:0\n0:4000000000:77\nend\ncharacter special file\n" });
    });

    it("mounts hide what the image has there, through links inside of it", async () => {
      const image = await bench.layer("mkdir -p srv/in var/real; echo image > srv/in/old; ln -s /var/real out; ln -s ../../../../var link");
      const tree: InputTree = {
        entries: [await input("srv/in/new", "from the order\n"), { path: "srv/in/link", kind: "link", target: "/etc/passwd" }],
        mounts: [
          ...TREE_OF_OUT.mounts,
          { path: "/srv/in", writable: false, keep: false },
          { path: "/link/made/deep", writable: true, keep: false },
        ],
      };
      const came = await sh(
        "ls /srv/in; cat /srv/in/new; cat /srv/in/link | head -c 4; ls -d /var/made/deep; echo kept > /var/real/f; mkdir /out/d; ln -s f /out/l",
        [image],
        { tree },
      );
      expect(came).toMatchObject({
        ...completed(0),
        stdout: "link\nnew\nfrom the order\nroot/var/made/deep\n",
        files: { "out/f": "kept\n" },
      });
      expect("ended" in came && came.ended.kind === "result" && came.ended.tree.map(({ path: at, kind }) => `${at} ${kind}`)).toEqual([
        ...["out directory", "out/d directory", "out/f file", "out/l link"],
      ]);
    });
  });

  describe("jobs that cannot be run end as in container engines", () => {
    it.each([
      ["a command that is not there", ["nosuch"], {}, 127, "nosuch: not found in $PATH"],
      ["a path that is not there", ["/no/such"], {}, 127, "No such file"],
      ["a path inside a file", ["/etc/passwd/x"], {}, 127, "Not a directory"],
      ["a file that is no program", ["/etc/passwd"], {}, 126, "Permission denied"],
      ["a folder", ["/etc"], {}, 126, "Permission denied"],
      ["a user that is not there", ["true"], { user: "nobody-here" }, 126, "user nobody-here is not in the image's /etc/passwd"],
      ["a group that is not there", ["true"], { user: "root:nogroup" }, 126, "group nogroup"],
      ["a user beyond all numbers", ["true"], { user: "99999999999" }, 126, "user 99999999999"],
      ["a folder to start in that is a file", ["true"], { workdir: "/etc/passwd" }, 126, "no directory /etc/passwd"],
    ] as const)("%s", async (_, args, over, exitCode, words) => {
      const came = await bench.run({ vm: bench.image([box], args, over) });
      expect(came).toMatchObject({ ...completed(exitCode), stderr: expect.stringContaining(words) });
    });

    it("a program for another machine", async () => {
      const other = await bench.layer("printf '\\177ELF\\2\\1\\1' > arm; head -c 60 /dev/zero >> arm; chmod 755 arm");
      expect(await bench.run({ vm: bench.image([box, other], ["/arm"]) })).toMatchObject({
        ...completed(126),
        stderr: expect.stringContaining("Exec format"),
      });
    });

    it("a job that powers its machine off, starts it again, is killed, or panics its kernel", async () => {
      expect(await sh("echo before; poweroff -f; sleep 60")).toMatchObject({ ...completed(130), stdout: "before\n" });
      expect(await sh("reboot -f; sleep 60")).toMatchObject(completed(129));
      expect(await sh("sh -c 'kill -9 $$'; exit $?")).toMatchObject(completed(137));
      expect(await sh("echo c > /proc/sysrq-trigger; sleep 60")).toMatchObject({ ended: { kind: "result", reason: "guest-panic" } });
    });

    it("a job that takes its init's place and lies hands back nothing, and is not free of charge", async () => {
      // the port of the init, bound anew: whatever comes through it after the job began is the job's word
      const lie =
        "mount -o remount,rw /sys; cd /sys/bus/virtio/drivers/virtio_console; d=$(ls -d virtio*); echo $d > unbind; echo $d > bind; sleep 1; for p in /sys/class/virtio-ports/*; do n=$(cat $p/dev); mknod /dev/p${n#*:} c ${n%:*} ${n#*:}; (echo; echo refused job words; echo set; yes) > /dev/p${n#*:} & done; sleep 3; poweroff -f";
      const came = await sh(lie);
      // what it pours into the port may be taken for files that it hands back, and is more than a result may hold
      const reason = expect.stringMatching(/^(completed|guest-panic|output-limit)$/);
      expect(came).toMatchObject({ ended: { kind: "result", reason, tree: [] } });
    });
  });

  describe("what a job leaves", () => {
    it("comes back though the disk is full, whatever still runs", async () => {
      const came = await sh(
        "echo a > /out/a; (while :; do echo x >> /out/b; done) & dd if=/dev/zero of=/fill bs=1M 2>/dev/null; exit 4",
        [],
        { tree: TREE_OF_OUT },
      );
      expect(came).toMatchObject({ ...completed(4), files: { "out/a": "a\n" } });
    });

    it("ends with its first program, whatever still talks, and loses nothing of what that had said", async () => {
      expect(await sh("(yes & yes >&2 &) ; exit 3")).toMatchObject(completed(3));
      expect(await sh("sleep 1000 & seq 1 20000; exit 5")).toMatchObject({
        ...completed(5),
        stdout: expect.stringMatching(/\n19999\n20000\n$/),
      });
    });

    it("ends with what its first program says, though that lets go of its output and sends its init signals without end", async () => {
      const storm = "for j in 1 2 3 4; do (i=0; while [ $i -lt 20000 ]; do kill -CHLD 1; i=$((i+1)); done) & done; wait";
      expect(await sh(`exec >/dev/null 2>&1; ${storm}; echo kept > /out/a; exit 9`, [], { vcpu: 2, tree: TREE_OF_OUT })).toMatchObject({
        ...completed(9),
        files: { "out/a": "kept\n" },
      });
    });

    it("ends the lease at the customer's limit where it is more than can come back", async () => {
      const limit = (detail: string) => ({ ended: { kind: "result", reason: "output-limit", detail: expect.stringContaining(detail) } });
      expect(await sh("truncate -s 900G /out/holes", [], { tree: TREE_OF_OUT })).toMatchObject(limit("more than its disk holds"));
      const many =
        "cd /out; mkdir d; cd d; seq 1 100002 | xargs -n 5000 touch 2>/dev/null; i=0; while ln ../d/1 l$i 2>/dev/null && [ $i -lt 9 ]; do i=$((i+1)); done; ls | wc -l";
      expect(await sh(many, [], { tree: TREE_OF_OUT, diskMib: 512 })).toMatchObject(limit("more files than a result can name"));
      const deep = "cd /out; for i in $(seq 1 40); do n=$(printf 'd%.0s' $(seq 1 200)); mkdir $n; cd $n; done; echo x > f";
      // no program in the guest can name that file either: the rest comes back, and the result says that it is not all
      expect(await sh(deep, [], { tree: TREE_OF_OUT })).toMatchObject({
        ended: { ...completed(0).ended, detail: "not everything could be handed back" },
      });
    });
  });

  describe("what cannot be started is refused, and never the host's failure", () => {
    const refusedAs = (reason: string, words: string) => ({ refused: reason, words: expect.stringContaining(words) });

    it.each([
      ["a mount that is a file of the image", "/etc/passwd", "/etc/passwd cannot be mounted: /etc/passwd in the image is no folder"],
      ["a mount inside a file of the image", "/etc/passwd/below/it", "/etc/passwd in the image is no folder"],
      ["a mount through links without end", "/loop/x", "from link to link without end"],
    ])("%s", async (_, at, words) => {
      const loop = await bench.layer("ln -s loop loop");
      expect(await sh("true", [loop], { tree: mountedAt(at) })).toMatchObject(refusedAs("job-refused", words));
    });

    it("inputs that do not fit on the disk, by bytes and by number", async () => {
      const large = {
        entries: [await input("in/large", Buffer.alloc(80 * 1024 * 1024, 1))],
        mounts: [{ path: "/in", writable: false, keep: false }],
      };
      expect(await sh("true", [], { tree: large })).toMatchObject(
        refusedAs("job-refused", "the inputs take 80 MiB, more than a disk of 64 MiB"),
      );
      // just what the rules let through, and the file system does not
      const tight = { ...large, entries: [await input("in/large", Buffer.alloc(56 * 1024 * 1024, 1))] };
      expect(await sh("true", [], { tree: tight })).toMatchObject(refusedAs("job-refused", "the inputs do not fit on the disk"));
    });

    it.each([
      ["/proc is a file", "echo x > proc", "the image has a /proc that is no folder"],
      ["/dev leads to nothing", "ln -s /nothing dev", "/dev in the image neither is nor leads to a folder"],
      ["/etc is a file", "rm -rf etc; echo x > etc; touch .wh.etc", "/etc in the image neither is nor leads to a folder"],
      ["a hard link leads out of the image", "echo x > a; ln a b", "leads to ../../etc/shadow, which"],
    ])("an image: %s", async (_, script, words) => {
      const pack = words.includes("shadow")
        ? "tar --transform 'flags=h;s,^\\./a$,../../etc/shadow,' -cPf ../out.tar ./a ./b"
        : "tar -cf ../out.tar .";
      const came = await bench.run({ vm: bench.image([await bench.layer(script, pack)], ["true"]) });
      expect(came).toMatchObject({
        refused: "image-refused",
        words: expect.stringMatching(words.includes("shadow") ? /leads outside/ : words),
      });
    });

    it("bytes that are no layer, or more than was ordered", async () => {
      const file = path.join(bench.folder, "bad");
      const of = async (bytes: Buffer, over = {}): Promise<Came> => {
        await writeFile(file, bytes);
        return bench.run({ vm: bench.image([await bench.blob(file)], ["true"]), ...over });
      };
      expect(await of(Buffer.alloc(4_096, 0x41))).toMatchObject(refusedAs("image-refused", "checksum"));
      expect(await of(Buffer.from("425a68393141592653590000", "hex"))).toMatchObject(refusedAs("image-refused", "bzip2 says"));
      expect(await of(Buffer.from("1f8b0800000000000003deadbeef", "hex"))).toMatchObject(refusedAs("image-refused", "gzip says"));
      const bomb = await bench.layer("truncate -s 3G bomb", "tar -cSf t bomb; zstd -q --ultra -19 t -o ../out.tar; rm t");
      expect(await bench.run({ vm: bench.image([bomb], ["true"]) })).toMatchObject(refusedAs("job-refused", "unpacks to more than 64 MiB"));
      const zeros = await bench.layer("head -c 300M /dev/zero > bomb", "tar -cf - bomb | zstd -q -o ../out.tar");
      expect(await bench.run({ vm: bench.image([zeros], ["true"]) })).toMatchObject(
        refusedAs("job-refused", "unpacks to more than 64 MiB"),
      );
      const many = await bench.layer("seq 1 20000 | xargs touch");
      expect(await bench.run({ vm: bench.image([many], ["true"]) })).toMatchObject(refusedAs("job-refused", "more than 16384 files"));
      // how far back zstd may refer costs its reader memory: as far as the format's readers must allow is fine, 2 GiB is not
      const far = (log: number) =>
        bench.layer("head -c 1M /dev/urandom > f", `tar -cf - f | zstd -q --ultra -22 --long=${log} -o ../out.tar`);
      expect(await bench.run({ vm: bench.image([await far(27)], ["true"]), diskMib: 16 })).toMatchObject({ ...completed(127) });
      expect(await bench.run({ vm: bench.image([await far(31)], ["true"]), diskMib: 16 })).toMatchObject(
        refusedAs("image-refused", "too much memory"),
      );
    });

    it("more layers, less memory or a smaller disk than any image runs with", async () => {
      expect(
        await bench.run({
          vm: bench.image(
            Array.from({ length: 200 }, () => box),
            ["true"],
          ),
        }),
      ).toMatchObject(refusedAs("job-refused", "200 layers"));
      expect(await sh("true", [], { memoryMib: 64 })).toMatchObject(refusedAs("job-refused", "--mem"));
      expect(await sh("true", [], { diskMib: 8 })).toMatchObject(refusedAs("job-refused", "--disk"));
      expect(await sh("true", [], { devices: "emulated" })).toMatchObject(refusedAs("job-refused", "virtio"));
    });

    it("a kernel that is no kernel, a RAM disk larger than memory, a disk that is none", async () => {
      const text = path.join(bench.folder, "text");
      await writeFile(text, "this is no kernel\n".repeat(5_000));
      const digest = await bench.blob(text);
      const boot = (over: object) => ({ vm: { kind: "kernel" as const, kernel: digest, initrd: null, append: "", ...over } });
      expect(await bench.run(boot({}))).toMatchObject(refusedAs("image-refused", "neither a Linux bzImage"));
      const real = await bench.blob(await kernel());
      const huge = path.join(bench.folder, "huge");
      await run("truncate", ["-s", "300M", huge]);
      expect(await bench.run(boot({ kernel: real, initrd: await bench.blob(huge) }))).toMatchObject(
        refusedAs("job-refused", "order more with --mem"),
      );
      const empty = path.join(bench.folder, "empty");
      await writeFile(empty, "");
      expect(await bench.run(boot({ kernel: await bench.blob(empty) }))).toMatchObject(
        refusedAs("image-refused", "neither a Linux bzImage"),
      );
      await mkdir(path.join(bench.folder, "q"), { recursive: true });
      const backed = path.join(bench.folder, "q/backed.qcow2");
      await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", backed, "1M"]);
      const disk = (image: string, format: "raw" | "qcow2") => ({
        vm: { kind: "disk" as const, image: { digest: image, format, url: null }, iso: null, seed: [] },
      });
      expect(await bench.run(disk(await bench.blob(backed), "qcow2"))).toMatchObject(refusedAs("image-refused", "backing file"));
      expect(await bench.run(disk(digest, "qcow2"))).toMatchObject(refusedAs("image-refused", "not a qcow2"));
      expect(await bench.run({ ...disk(await bench.blob(huge), "raw"), diskMib: 100 })).toMatchObject(
        refusedAs("job-refused", "order more with --disk"),
      );
      const seed = {
        kind: "disk" as const,
        image: null,
        iso: null,
        seed: [{ name: "user-data" as const, digest: await bench.blob(huge) }],
      };
      expect(await bench.run({ vm: seed })).toMatchObject(refusedAs("job-refused", "the files for cloud-init take more than 8 MiB"));
      expect(await bench.run({ vm: { kind: "snapshot", snapshot: "ab".repeat(32) } })).toMatchObject(
        refusedAs("job-refused", "does not have that snapshot"),
      );
    });
  });

  it("an initrd that panics is the guest's own end; without the device's driver it starts again, as its own command line says", async () => {
    const panicking = async (modules: readonly string[]) => {
      const ramdisk = path.join(bench.folder, "panics");
      await writeFile(ramdisk, await initrd("echo came up; exit 1", modules));
      const images = { kernel: await bench.blob(await kernel()), initrd: await bench.blob(ramdisk) };
      return { diskMib: 0, vm: { kind: "kernel" as const, ...images, append: "console=ttyS0 quiet panic=-1" } };
    };
    expect(await bench.run(await panicking(["pvpanic-mmio"]))).toMatchObject({ ended: { kind: "result", reason: "guest-panic" } });
    const again = await bench.run({
      ...(await panicking([])),
      async meanwhile(guest) {
        await until(async () => (await guest.stdout()).split("came up").length > 2);
        await guest.stop();
      },
    });
    expect(again).toMatchObject({ ended: { kind: "result", reason: "stopped" } });
  });
});
