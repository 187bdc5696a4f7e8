/** What is asked of the toolstack, and what of its answers is believed. */
import { describe, expect, it } from "vitest";
import { Toolstack } from "./toolstack.fixture.ts";
import { Xl, runBy } from "./xl.ts";

describe("xl", () => {
  it.each(["/etc/passwd", "/dev/pts/1/../../sda", "/dev/pts/x", "/dev/pts/1 /dev/sda", ""])("has no console at %j", async (tty) => {
    const toolstack = new Toolstack();
    toolstack.tty = tty;
    expect(await new Xl(toolstack.run).console(1)).toBeNull();
    toolstack.tty = "/dev/pts/7";
    expect(await new Xl(toolstack.run).console(1)).toBe("/dev/pts/7");
  });

  it("is asked for whole names: without that xentop cuts them to ten characters, and finds no domain of ours", async () => {
    const toolstack = new Toolstack();
    await expect(new Xl(toolstack.run).usage()).rejects.toThrow("xentop");
    expect(toolstack.calls).toEqual(["xentop -b -f -i 1"]);
  });

  it("that fails says in one line why, whichever program it was", async () => {
    const xl = new Xl(new Toolstack().run);
    await expect(xl.pause(9)).rejects.toMatchObject({ name: "XlError", message: "xl pause: 9 is an invalid domain identifier (rc=-6)" });
  });

  it("that says something else first says what went wrong", async () => {
    const stderr =
      "libxl: warning: libxl_dm.c:1923:libxl__build_device_model_args_new: Domain 1:No way to get local access disk to image: xvda\n" +
      "Disk will be available via PV drivers but not as an emulated disk.\nlibxl: error: libxl_dm.c:3146: Domain 1:QEMU did not start\n";
    const xl = new Xl(() => Promise.reject(Object.assign(new Error("failed"), { stderr })));
    await expect(xl.create("/f/domain.cfg", { kernelMib: 1 })).rejects.toThrow(
      "xl create: libxl: error: libxl_dm.c:3146: Domain 1:QEMU did not start",
    );
  });

  it("has a device model by its number alone", async () => {
    const toolstack = new Toolstack();
    expect(await new Xl(toolstack.run).deviceModel(1)).toBeNull();
    toolstack.deviceModel = 217;
    expect(await new Xl(toolstack.run).deviceModel(1)).toBe(217);
  });

  it("is given room for what a kernel unpacks to, and ends where nobody wants its domain any more", async () => {
    const given: unknown[] = [];
    const left = new AbortController();
    const xl = new Xl(async (_program, _args, bounds) => {
      given.push(bounds);
      left.abort(new Error("nobody wants it"));
      throw new Error("ended");
    });
    await expect(xl.create("/f/domain.cfg", { kernelMib: 40, signal: left.signal })).rejects.toThrow("ended");
    expect(given).toMatchObject([{ dataMibMax: 552, signal: left.signal }]);
  });

  it("has a bound of memory where it reads what a customer gave, and no program more to begin elsewhere", async () => {
    const bounded: string[] = [];
    const xl = new Xl(async (program, args, { dataMibMax }) => {
      if (dataMibMax !== undefined) bounded.push(`${program} ${args[0]}`);
      return "";
    });
    await xl.create("/f/domain.cfg", { kernelMib: 1 });
    await xl.restore("/f/domain.cfg", "/f/state");
    for (const call of [() => xl.pause(1), () => xl.unpause(1), () => xl.destroy(1), () => xl.list(), () => xl.write([["/a", "b"]])])
      await call().catch(() => {}); // of a list that is none
    expect(bounded).toEqual(["xl create", "xl restore"]);
  });

  it("that makes a domain, ends it or has it stand still ends with its daemon; what only asks is no program more to begin", async () => {
    const outliving: string[] = [];
    const xl = new Xl(async (program, args, { mayOutlive }) => {
      if (mayOutlive === true) outliving.push(`${program} ${args[0]}`);
      return "";
    });
    await xl.create("/f/domain.cfg", { kernelMib: 1 });
    await xl.restore("/f/domain.cfg", "/f/state");
    const calls = [() => xl.pause(1), () => xl.destroy(1), () => xl.askToEnd(1), () => xl.askToRestart(1), () => xl.own(["/a", "n0"])];
    for (const call of [...calls, () => xl.unpause(1), () => xl.list(), () => xl.info(), () => xl.usage()]) await call().catch(() => {}); // of an answer that is none
    expect(outliving).toEqual(["xl unpause", "xl list", "xl info", "xentop -b"]);
  });

  it("is begun by a shell that waits where somebody waits for it, with the same bound, and complains as ever", async () => {
    const begun: unknown[] = [];
    let stderr = "";
    const run = async (words: readonly string[], { dataBytesMax }: { dataBytesMax?: number }) => {
      begun.push([words.join(" "), dataBytesMax]);
      if (stderr !== "") throw Object.assign(new Error("failed"), { stderr });
      return { stdout: "", stderr };
    };
    const xl = new Xl(runBy({ run }));
    await xl.create("/f/domain.cfg", { kernelMib: 88 });
    await xl.unpause(7);
    stderr = "libxl: warning: slow\n7 is an invalid domain identifier (rc=-6)\n";
    await expect(xl.pause(7)).rejects.toMatchObject({ name: "XlError", message: "xl pause: 7 is an invalid domain identifier (rc=-6)" });
    // what only asks is begun as it comes
    await xl.list().catch(() => {});
    expect(begun).toEqual([
      ["xl create -e -p -q /f/domain.cfg", 600 * 1024 * 1024],
      ["xl unpause 7", undefined],
      ["xl pause 7", undefined],
    ]);
  });

  it("is not there on most machines, which is said by its name", async () => {
    await expect(new Xl((program) => Promise.reject(new Error(`spawn ${program} ENOENT`))).info()).rejects.toThrow(
      "xl info: Error: spawn xl ENOENT",
    );
  });
});
