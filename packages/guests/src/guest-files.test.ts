/** A guest's folder may hold anything that a file system can: the daemon reads regular files of it, and waits for nothing. */
import { execFile } from "node:child_process";
import { existsSync, renameSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { guestFilePieces, guestTextEnd, placeMarker, readGuestFile, statGuestFile } from "./guest-files.ts";

let folder: string;
let outside: string;
beforeEach(async () => {
  const at = await mkdtemp(path.join(tmpdir(), "xeno-guest-files-"));
  [folder, outside] = [path.join(at, "guest"), path.join(at, "host")];
  for (const each of [folder, outside]) await mkdir(path.join(each, "out"), { recursive: true });
  await writeFile(path.join(outside, "secret"), "the host's");
  await writeFile(path.join(outside, "out/secret"), "the host's");
});
afterEach(() => rm(path.dirname(folder), { recursive: true, force: true }));

const text = async (inside: string, offset = 0, length = 100) =>
  Buffer.from(await readGuestFile(folder, inside, offset, length)).toString("utf8");

describe("what a guest wrote", () => {
  it("is read in parts, below its folder", async () => {
    await writeFile(path.join(folder, "out/a"), "0123456789");
    expect([
      await text("out/a"),
      await text("out/a", 3, 4),
      await text("out/a", 8),
      await text("out/a", 10),
      await text("out/a", 99),
    ]).toEqual(["0123456789", "3456", "89", "", ""]);
    expect(await guestTextEnd(folder, "out/a", 3)).toBe("789");
    expect(statGuestFile(folder, "out/a")?.size).toBe(10);
    let all = "";
    for await (const piece of guestFilePieces(folder, "out/a", 7)) all += Buffer.from(piece).toString();
    expect(all).toBe("0123456");
  });

  it.each(["", "/", "..", "../host/secret", "out/../../host/secret", "out//a", "/etc/passwd", "./out"])(
    "is never asked for by a path that leads elsewhere: %s",
    async (inside) => {
      await expect(readGuestFile(folder, inside, 0, 10)).rejects.toThrow("is no path below a folder");
    },
  );

  it.each([
    ["a link to a host's file", "l", () => symlink(path.join(outside, "secret"), path.join(folder, "l"))],
    ["a folder that is a link", "d/secret", () => symlink(outside, path.join(folder, "d"))],
    ["its out folder as a link", "o/out/secret", () => symlink(outside, path.join(folder, "o"))],
    ["a link to itself", "s", () => symlink("s", path.join(folder, "s"))],
    ["a folder", "out", async () => {}],
    ["a pipe that nobody writes", "p", () => promisify(execFile)("mkfifo", [path.join(folder, "p")])],
    ["a file as a folder", "f/x", () => writeFile(path.join(folder, "f"), "x")],
    ["nothing", "nothing", async () => {}],
  ])("is nothing where it is %s", async (_what, inside, plant) => {
    await plant();
    expect([await text(inside), await guestTextEnd(folder, inside, 10), statGuestFile(folder, inside)]).toEqual(["", "", null]);
    const pieces = [];
    for await (const piece of guestFilePieces(folder, inside, 10)) pieces.push(piece);
    expect(pieces).toEqual([]);
  });

  it("is nothing where it is a device or a socket", async () => {
    expect(await readGuestFile("/dev", "zero", 0, 10)).toHaveLength(0);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path.join(folder, "sock"), resolve));
    expect(await text("sock")).toBe("");
    await new Promise((resolve) => server.close(resolve));
  });

  it("is never the host's, however often a folder is swapped for a link meanwhile", async () => {
    await writeFile(path.join(folder, "out/secret"), "the guest's");
    await symlink(path.join(outside, "out"), path.join(folder, "link"));
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const [from, to] = i % 2 === 0 ? ["out", "link"] : ["link", "out"];
      const reading = text("out/secret");
      renameSync(path.join(folder, from), path.join(folder, "aside"));
      renameSync(path.join(folder, to), path.join(folder, from));
      renameSync(path.join(folder, "aside"), path.join(folder, to));
      seen.add(await reading);
    }
    expect([...seen].sort()).toEqual(["", "the guest's"]);
  });
});

describe("what the daemon leaves for a guest to see", () => {
  it("stands there, and writes through nothing that the guest put in its place", async () => {
    placeMarker(folder, "stop");
    placeMarker(folder, "stop");
    expect(statGuestFile(folder, "stop")?.size).toBe(0);
    await symlink(path.join(outside, "secret"), path.join(folder, "killed"));
    await symlink(path.join(outside, "new"), path.join(folder, "other"));
    placeMarker(folder, "killed");
    placeMarker(folder, "other");
    expect(await readFile(path.join(outside, "secret"), "utf8")).toBe("the host's");
    expect(existsSync(path.join(outside, "new"))).toBe(false);
  });
});
