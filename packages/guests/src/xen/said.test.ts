/** What Xen's toolstack prints, as Debian's 4.17.7 printed it in a dom0. */
import { describe, expect, it } from "vitest";
import { parseListing } from "./listing.ts";
import { parseUsage } from "./usage.ts";
import { parseInfo } from "./xen-info.ts";

const HEADING =
  "Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label";
const LISTED = `${HEADING}
Domain-0                                     0  1024     1     r-----      61.3 00000000-0000-0000-0000-000000000000        -                -
xeno-aaaa                                    1   128     1     ---sc-      28.0 2fdc2492-eb2c-11f1-8556-525400123456        3                -
xeno-bbbb                                    2   128     1     ---s--       9.4 32a22b90-eb2c-11f1-b588-525400123456        0                -
xeno-trial                                   3    16     1     ---sr-       0.0 1aa1596b-814c-441b-afa6-b18d75cb115d        1                -
xeno-trialpv                                 4    16     1     --p---       0.0 49668267-a63b-4a18-876c-a826b6092791        -                -
`;
const INFO = `host                   : (none)
release                : 6.1.0-56-amd64
version                : #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)
nr_cpus                : 1
virt_caps              : pv hvm hap gnttab-v1 gnttab-v2
total_memory           : 4095
free_memory            : 3028
xen_version            : 4.17.7
xen_caps               : xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64
xen_scheduler          : credit2
xen_changeset          :
xen_commandline        : dom0_mem=1024M,max:1024M console=com1 com1=115200 no-real-mode
`;
const USED = `      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID
  Domain-0 -----r         30    0.0    1048576   25.0    1048576      25.0     1    0        0        0    0        0        0        0          0          0    0
 xeno-aaaa ------          6    0.0     131136    3.1     132096       3.1     1    0        0        0    0        0        0        0          0          0    0
`;

describe("xl list -v", () => {
  it("says of each domain whether it lives, and why not", () => {
    expect(parseListing(LISTED).map(({ name, id, paused, shutdown }) => [name, id, paused, shutdown])).toEqual([
      ["Domain-0", 0, false, null],
      ["xeno-aaaa", 1, false, "crash"],
      ["xeno-bbbb", 2, false, "poweroff"],
      ["xeno-trial", 3, false, "reboot"],
      ["xeno-trialpv", 4, true, null],
    ]);
    expect(parseListing(LISTED)[1]).toMatchObject({ memoryMib: 128, vcpus: 1, cpuSeconds: 28, dying: false });
  });

  it("is read whatever number a guest's kernel ended it with: one that no reason has blinds no server to the other domains", () => {
    const ended = LISTED.replace("---sc-      28.0", "---s?-      28.0").replace("525400123456        3 ", "525400123456       c8 ");
    expect(parseListing(ended).map(({ id, shutdown }) => [id, shutdown])).toEqual([
      [0, null],
      [1, "crash"],
      [2, "poweroff"],
      [3, "reboot"],
      [4, null],
    ]);
  });

  it("reads a name that looks like columns by its line's end", () => {
    const line =
      "a 9 64 1 r----- 1.0 00000000-0000-0000-0000-000000000000 - -   7   128     1     ------       4.4 2fdc2492-eb2c-11f1-8556-525400123456        -                -";
    expect(parseListing(`${LISTED}${line}\n`).slice(-1)).toMatchObject([{ id: 7, uuid: "2fdc2492-eb2c-11f1-8556-525400123456" }]);
  });

  it.each([
    ["another heading", LISTED.replace("Reason-Code", "Reason")],
    ["a line that is cut", LISTED.slice(0, -40)],
    ["a last line that is not said to be whole", LISTED.slice(0, -1)],
    ["its heading and no more", `${HEADING}\n`],
    ["others and not its own domain", LISTED.replace(/^Domain-0.*\n/m, "")],
    ["words", "xc: error: Could not obtain handle on privileged command interface\n"],
    ["nothing", ""],
    ["a size that is no number any more", LISTED.replace("   128 ", ` ${"1".repeat(400)} `)],
  ])("is not read where it holds %s", (_what, text) => {
    expect(() => parseListing(text)).toThrow();
  });
});

it("xl info says what the host has", () => {
  expect(parseInfo(INFO)).toEqual({
    ...{ version: "4.17.7", abilities: ["pv", "hvm", "hap", "gnttab-v1", "gnttab-v2"], scheduler: "credit2" },
    ...{ cpus: 1, memoryMib: 4095, freeMib: 3028 },
  });
  expect(() => parseInfo(INFO.replace("free_memory", "free_mem"))).toThrow("free_memory");
  expect(() => parseInfo(INFO.replace("3028", "many"))).toThrow("free_memory");
});

it("xentop -f says whole names, however long", () => {
  const name = "xeno-e435dca53151e8357a0b4665";
  const lines = USED.trimEnd().split("\n").slice(0, 2);
  const line = `${name} ----p-          0    0.0      16384    0.4      17408       0.4     1    0        0        0    0        0        0        0          0          0    0`;
  expect(parseUsage(`${[...lines.map((each) => `                   ${each}`), line].join("\n")}\n`)[1]).toMatchObject({
    name,
    memoryKib: 16_384,
  });
});

it("xentop says what each domain has used, in its last round", () => {
  expect(parseUsage(`${USED.replace("     6 ", "     5 ")}${USED}`)[1]).toEqual({
    ...{ name: "xeno-aaaa", cpuSeconds: 6, memoryKib: 131_136, sentKib: 0, receivedKib: 0, reads: 0, writes: 0 },
  });
  expect(parseUsage(USED.replace("1048576      25.0     1", "no limit       n/a     1"))).toHaveLength(2);
  expect(() => parseUsage(USED.replace("VBD_OO", "VBD"))).toThrow("heading");
  expect(() => parseUsage(USED.replace("     6 ", ` ${"6".repeat(400)} `))).toThrow("not understood");
});
