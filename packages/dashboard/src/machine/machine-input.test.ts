/** What a form of machines comes to, and what it lacks, in words. */
import { describe, expect, it } from "vitest";
import { choiceOf, chosenIn, machineInput, unreadable, type MachineForm } from "./machine-input.ts";

const file = new File(["x"], "box.tar");
const form: MachineForm = {
  ...{ source: "image", file, initrd: null, append: "", args: "", cpu: "1", mem: "512M", disk: "", maxTime: "1h", budget: " 1.00 " },
  ...{ label: "", network: "none", hasScreen: false, isUefi: false, isWindows: false, sshKey: "", userData: "" },
  ...{ driver: "qemu", server: "", takesEmulated: false },
};

describe("a machine's form", () => {
  it("says no more than was said", () => {
    const usual = { cpu: 1, mem: "512M", maxTime: "1h", budget: "1.00", driver: "qemu" };
    expect(machineInput(form)).toEqual({ image: file, ...usual });
    expect(machineInput({ ...form, args: "sh\n-c\n\necho  two \n" })).toEqual({
      image: file,
      args: ["sh", "-c", "", "echo  two "],
      ...usual,
    });
    expect(machineInput({ ...form, cpu: "", mem: " ", maxTime: "" })).toEqual({ image: file, budget: "1.00", driver: "qemu" });
  });

  it("takes of each sort what that has, whatever else was typed before", () => {
    const all: MachineForm = {
      ...{ ...form, initrd: new File(["r"], "initrd"), append: "console=ttyS0", args: "sh", disk: "20G", hasScreen: true },
      ...{ isUefi: true, isWindows: true, sshKey: "ssh-ed25519 AAAA me", userData: "#cloud-config" },
    };
    const keys = (source: MachineForm["source"]): string[] =>
      Object.keys(machineInput({ ...all, source })).filter((key) => !["cpu", "mem", "disk", "budget", "maxTime", "driver"].includes(key));
    expect(keys("image")).toEqual(["image", "args"]);
    expect(keys("kernel")).toEqual(["kernel", "initrd", "append", "screen"]);
    expect(keys("iso")).toEqual(["iso", "uefi", "windows", "screen"]);
    expect(keys("vm")).toEqual(["vm", "uefi", "windows", "sshKey", "userData", "screen"]);
    expect(new TextDecoder().decode(machineInput({ ...all, source: "vm" }).sshKey as Uint8Array)).toBe("ssh-ed25519 AAAA me\n");
  });

  it("asks for the server that was chosen, and for a network as it was chosen", () => {
    const chosen = chosenIn(choiceOf("xen", "s_0123456789ab"));
    expect(machineInput({ ...form, ...chosen, takesEmulated: true })).toMatchObject({
      driver: "xen",
      where: "server=s_0123456789ab",
      accel: "any",
    });
    expect(chosenIn("nonsense")).toEqual({ driver: "qemu", server: "" });
    expect(machineInput({ ...form, network: "ports" })).toMatchObject({ network: true });
    expect(machineInput({ ...form, network: "ports" })).not.toHaveProperty("egress");
    expect(machineInput({ ...form, network: "public" })).toMatchObject({ network: true, egress: "public" });
  });

  it.each([
    [{ file: null }, /choose the archive of an image/],
    [{ source: "vm", file: null }, /choose a disk image/],
    [{ source: "kernel", file: null }, /choose a Linux kernel/],
    [{ source: "iso", file: null }, /choose an installer/],
    [{ source: "iso" }, /how large a disk/],
    [{ cpu: "two" }, /processors are a number/],
    [{ cpu: "-1" }, /processors are a number/],
  ] satisfies [Partial<MachineForm>, RegExp][])("%o is refused", (over, words) => {
    expect(() => machineInput({ ...form, ...over })).toThrow(words);
  });

  it("has a kernel print on the console of its driver's guests, unless it is told otherwise", () => {
    const kernel: MachineForm = { ...form, source: "kernel" };
    expect([machineInput(kernel).append, machineInput({ ...kernel, driver: "xen" }).append]).toEqual(["console=ttyS0", "console=hvc0"]);
    expect(machineInput({ ...kernel, append: " quiet " }).append).toBe("quiet");
  });
});

it("says of a file that cannot be read that it is that, and of all else what it was", () => {
  const thrown = (error: unknown): unknown => {
    try {
      return unreadable(error);
    } catch (told) {
      return told;
    }
  };
  const gone = new DOMException("A requested file or directory could not be found", "NotFoundError");
  expect(thrown(gone)).toMatchObject({ code: "bad_input", message: expect.stringContaining("could not be found") });
  const other = new TypeError("x");
  expect(thrown(other)).toBe(other);
});
