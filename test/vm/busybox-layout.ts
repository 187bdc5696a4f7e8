/** An image as small as one can be that people still recognise. */
import { execFile } from "node:child_process";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** An OCI image layout by umoci: BusyBox, a user `web`, and a second layer that removes a file of the first. */
export async function busyboxLayout(folder: string): Promise<string> {
  const layout = path.join(folder, "layout");
  const bundle = path.join(folder, "bundle");
  const umoci = (...args: string[]) => run("umoci", args);
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", `${layout}:box`);
  await umoci("unpack", "--rootless", "--image", `${layout}:box`, bundle);
  const root = path.join(bundle, "rootfs");
  for (const name of ["bin", "etc", "srv", "data"]) await mkdir(path.join(root, name), { recursive: true });
  await cp("/bin/busybox", path.join(root, "bin/busybox"));
  for (const name of [
    "sh",
    "ls",
    "cat",
    "echo",
    "id",
    "env",
    "sleep",
    "date",
    "head",
    "dd",
    "wc",
    "true",
    "kill",
    "pwd",
    "xxd",
    "sha256sum",
    "test",
    "rm",
    "mkdir",
    "yes",
    "nc",
    "wget",
    "grep",
    "awk",
    "seq",
    "ping",
    "timeout",
    "touch",
    "nslookup",
    "stty",
    "tty",
    "readlink",
    "uniq",
  ])
    await run("ln", ["-s", "busybox", path.join(root, "bin", name)]);
  await writeFile(path.join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n");
  await writeFile(path.join(root, "data/gone"), "in the first layer");
  await writeFile(path.join(root, "data/kept"), "in both");
  await umoci("repack", "--refresh-bundle", "--image", `${layout}:box`, bundle);
  await rm(path.join(root, "data/gone"));
  await writeFile(path.join(root, "data/new"), "in the second layer");
  await umoci("repack", "--image", `${layout}:box`, bundle);
  await umoci(
    "config",
    "--image",
    `${layout}:box`,
    "--config.env",
    "FROM_IMAGE=yes",
    "--config.workingdir",
    "/srv",
    "--config.user",
    "web",
    "--config.cmd",
    "sh",
  );
  return layout;
}
