/** What a customer writes is a value, and never a setting: by a reader of xl.cfg(5)'s grammar that shares nothing with what writes it. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { domainConfig, quoted, type DomainPlan } from "./domain-config.ts";

/** Keys and values as xl reads them (libxlu_cfg_l.l): a string ends at the first quote without a backslash before it. */
function settingsOf(config: string): Map<string, string | number | string[]> {
  const settings = new Map<string, string | number | string[]>();
  const string = /"((?:[^"\\\n]|\\.)*)"/y;
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray => {
    pattern.lastIndex = at;
    const found = pattern.exec(config);
    if (!found) throw new Error(`not xl's grammar at ${at}: ${config.slice(at, at + 40)}`);
    at = pattern.lastIndex;
    return found;
  };
  const text = (): string => take(string)[1]!.replaceAll(/\\(.)/gs, "$1");
  while (at < config.length) {
    const key = take(/([a-z][a-z0-9_]*)=/y)[1]!;
    if (settings.has(key)) throw new Error(`${key} stands twice`);
    if (config[at] === "[") {
      at++;
      const values = config[at] === "]" ? [] : [text()];
      while (config[at] === ",") {
        at++;
        values.push(text());
      }
      settings.set(key, values);
      take(/\]/y);
    } else settings.set(key, config[at] === '"' ? text() : Number(take(/\d+/y)[0]));
    take(/\n/y);
  }
  return settings;
}

const KEYS = [
  ...["name", "uuid", "type", "kernel", "ramdisk", "cmdline", "memory", "maxmem", "vcpus", "maxvcpus", "cpu_weight", "cap"],
  ...["max_grant_frames", "max_maptrack_frames", "max_grant_version", "max_event_channels", "passthrough"],
  ...["on_poweroff", "on_reboot", "on_crash", "on_watchdog", "on_soft_reset", "disk", "vif"],
];
/** As orders allow a kernel's command line, and as paths may be. */
const line = fc
  .oneof(fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom('"', "\\", "'", "[", "]", "=", ",", "#", "n", " ", "kernel=") }))
  .filter((text) => !/\p{Cc}/u.test(text));
const plan: fc.Arbitrary<DomainPlan> = fc.record({
  kind: fc.constantFrom("pvh", "pv"),
  name: fc.constant("xeno-0123"),
  uuid: fc.uuid(),
  kernel: line,
  ramdisk: fc.option(line),
  commandLine: line,
  memoryMib: fc.integer({ min: 32, max: 1_048_576 }),
  vcpu: fc.integer({ min: 1, max: 64 }),
  disk: fc.constant(null),
  card: fc.record({ kbitPerSecondMax: fc.double({ min: 1, max: 40_000_000, noNaN: true }) }),
});

const devices = fc.array(
  fc.record({ device: fc.constantFrom("/dev/loop3", "/dev/loop12"), numbers: fc.constant("7:3"), isWritable: fc.boolean() }),
  { maxLength: 20 },
);

it("holds every value as it was, under its own key and no other", () => {
  fc.assert(
    fc.property(plan, devices, (given, disks) => {
      const settings = settingsOf(domainConfig(given, disks));
      const said = disks.map(({ device, isWritable }, place) =>
        [
          "format=raw",
          `vdev=xvd${"abcdefghijklmnopqrst"[place]}`,
          `access=${isWritable ? "rw" : "ro"}`,
          ...["backendtype=phy", "script=/bin/true"],
          `target=${device}`,
        ].join(","),
      );
      expect(settings.get("disk") ?? []).toEqual(said);
      expect([...settings.keys()].filter((key) => !KEYS.includes(key))).toEqual([]);
      expect(settings.get("vif")).toEqual([expect.stringMatching(/^mac=[0-9a-f:]{17},type=vif,script=\/bin\/true,rate=[1-9]\d*Kb\/s$/)]);
      expect(settings.get("cmdline")).toBe(given.commandLine);
      expect(settings.get("kernel")).toBe(given.kernel);
      expect(settings.get("ramdisk")).toBe(given.ramdisk ?? undefined);
      expect([settings.get("memory"), settings.get("maxmem")]).toEqual([given.memoryMib, given.memoryMib]);
      expect([settings.get("cpu_weight"), settings.get("cap")]).toEqual([256 * given.vcpu, 100 * given.vcpu]);
      expect(settings.get("max_maptrack_frames")).toBe(0);
      // Linux binds eight and more for each vCPU, beside those of its devices
      expect(settings.get("max_event_channels")).toBeGreaterThan(128 + 9 * given.vcpu);
    }),
  );
});

it("of emulated hardware names files of one folder, and devices of dom0's: nothing else of it is anybody's text", () => {
  const folder = fc.string({ unit: fc.constantFrom("a", "/", ",", '"', "\\", " ", "=", "'") });
  const emulation = fc.record({ folder, hasScreen: fc.boolean(), hasMedium: fc.boolean() });
  fc.assert(
    fc.property(plan, emulation, devices, (given, emulated, disks) => {
      const settings = settingsOf(domainConfig({ ...given, kind: "hvm", kernel: null, ramdisk: null, emulation: emulated }, disks));
      expect(settings.get("type")).toBe("hvm");
      expect(settings.get("device_model_override")).toBe(`${emulated.folder}/device-model`);
      expect(settings.get("dm_restrict")).toBe(1);
      expect(settings.get("vnc")).toBe(emulated.hasScreen ? 1 : 0);
      expect(settings.get("vnclisten")).toBe(emulated.hasScreen ? "unix:screen.sock,share=ignore,power-control=off" : undefined);
      const words = settings.get("device_model_args_hvm") as string[];
      const drives = words.filter((_, place) => place % 2 === 1).map((word) => word.split(",")[0]);
      const writable = disks.slice(0, 2).filter(({ isWritable }) => isWritable);
      expect(drives).toEqual([...writable.map(({ device }) => `file=${device}`), ...(emulated.hasMedium ? ["file=medium.iso"] : [])]);
      expect(words.filter((_, place) => place % 2 === 0).every((word) => word === "-drive")).toBe(true);
      expect([settings.has("kernel"), settings.has("cmdline")]).toEqual([false, false]);
    }),
  );
});

it.each(["\n", "\0", "\t", "\x7f", "\x85"])("takes no control character: %j", (character) => {
  expect(() => quoted(`a${character}b`)).toThrow("control characters");
});
