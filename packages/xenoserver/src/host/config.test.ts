/** What an owner may write in xenoserver.toml, and what is said of the rest: the key, what was found, what to do. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isListedAt, parseServerConfig, readServerConfig } from "./config.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-config-"));
  file = path.join(folder, "xenoserver.toml");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(toml: string) {
  await writeFile(file, toml);
  return readServerConfig(file);
}
const POOL = `[xapi]\nurl = "https://10.0.0.2"\nsr = "a"\npassword_file = "p"\nfingerprints = ["${"ab".repeat(32)}"]\n`;
const policy = (line: string): string => `[policy]\n${line}\n`;
const capacity = (line: string): string => `[capacity]\n${line}\n`;

const HOURS = "write times as 08:00, from 00:00 to 24:00";
const AMOUNT = 'write an amount of the market\'s currency from 0 to 999999.999999999, such as "0.02"';

it.each([
  [policy('hours = "99:99-77:88"'), `policy.hours: "99:99-77:88": ${HOURS}`],
  [policy('hours = "08:60-10:00"'), `policy.hours: "08:60-10:00": ${HOURS}`],
  [policy('hours = "24:00-10:00"'), `policy.hours: "24:00-10:00": ${HOURS}`],
  [policy('hours = "20:00-24:01"'), `policy.hours: "20:00-24:01": ${HOURS}`],
  [policy("hours = 8"), 'policy.hours: 8: write times, such as "22:00-06:00" or "mon-fri 18:00-08:00, sat-sun 00:00-24:00"'],
  [policy("hours = []"), "policy.hours: []: write times"],
  [policy('hours = "08:00-08:00"'), '"08:00-08:00" begins when it ends: write 00:00-24:00 for a whole day, or leave it out'],
  [policy('hours = "mon-fri 8:00-18:00"'), 'hours: "mon-fri 8:00-18:00": write times as 08:00, from 00:00 to 24:00'],
  [policy('hours = "mon-fry 08:00-18:00"'), '"mon-fry 08:00-18:00": fry is no day: write mon, tue, wed, thu, fri, sat, sun'],
  [policy('hours = "08:00-10:00,"'), '"" is no range of times: write some such as "22:00-06:00"'],
  [policy('hours = ["08:00-10:00", "weekends"]'), '"weekends" is no range of times'],
  [policy(`hours = "${"08:00-10:00, ".repeat(64)}08:00-10:00"`), "write at most 64 ranges"],
  [policy('time_zone = "Mars/Olympus"'), 'policy.time_zone: "Mars/Olympus": there is no such time zone: write one such as "Europe/Berlin"'],
  [policy("time_zone = 2"), "policy.time_zone: 2: write a time zone"],
  [capacity("memory = 4"), 'capacity.memory: 4: it has no unit: write "4G" or "4M"'],
  [capacity('memory = "4"'), 'capacity.memory: "4": it has no unit: write "4G" or "4M"'],
  [capacity('memory = "4M"'), 'capacity.memory: "4M": no job fits into so little: write "64M" or more, such as "4G" or "512M"'],
  [capacity('memory = "much"'), 'capacity.memory: "much": write a size with its unit, such as "4G" or "512M"'],
  [capacity('disk = "-1G"'), 'capacity.disk: "-1G": write a size with its unit, such as "4G" or "512M"'],
  [capacity('disk = "1M"'), 'capacity.disk: "1M": no job fits into so little: write "16M" or more, such as "4G" or "512M"'],
  [capacity("vcpu = 0"), "capacity.vcpu: 0: write a whole number from 1 to 1024"],
  [capacity("vcpu = 1.5"), "capacity.vcpu: 1.5: write a whole number from 1 to 1024"],
  [capacity('vcpu = "two"'), 'capacity.vcpu: "two": write a whole number from 1 to 1024'],
  ["[price]\nvcpu_hour = -1\n", `price.vcpu_hour: -1: ${AMOUNT}`],
  ['[price]\nfuel_hour = "-0.02"\n', `price.fuel_hour: "-0.02": ${AMOUNT}`],
  ['[price]\nfuel_hour = "2 cents"\n', `price.fuel_hour: "2 cents": ${AMOUNT}`],
  ["[price]\nfuel_hour = true\n", `price.fuel_hour: true: ${AMOUNT}`],
  [policy("egress_ports = [0]"), "policy.egress_ports.0: 0: write a whole number from 1 to 65535"],
  [policy("egress_ports = [443, 65536]"), "policy.egress_ports.1: 65536: write a whole number from 1 to 65535"],
  [policy("egress_ports = [25]"), "policy.egress_ports.0: 25: a port of mail is never open to guests: leave it out"],
  [policy("egress_ports = 80"), "policy.egress_ports: 80: write a list of ports, such as [80, 443]"],
  [policy('egress_allow = ["10.1.2.3"]'), '"10.1.2.3" is no range of addresses: write one such as "10.1.2.3/32" or "10.1.0.0/16"'],
  [policy('egress_allow = ["10.1.2.3/33"]'), '"10.1.2.3/33" is no range of addresses'],
  [policy('egress_allow = ["300.1.2.3/8"]'), '"300.1.2.3/8" is no range of addresses'],
  [
    policy('egress_allow = ["10.0.0.0/8", "10.1.2.3/32"]'),
    "10.1.2.3/32 and 10.0.0.0/8 overlap: leave out the one that lies within the other",
  ],
  [policy('egress_allow = ["fd00::1/128", "fd00::/8"]'), "fd00::/8 and fd00::1/128 overlap"],
  [policy('egress = "all"'), 'policy.egress: "all": write "none", "names" or "public"'],
  [policy("max_lease_hours = 0"), "policy.max_lease_hours: 0: write a number from 0.001 to 8760 (hours)"],
  [policy("max_lease_hours = nan"), "policy.max_lease_hours"],
  [policy('allowed_parties = ["olga"]'), "policy.allowed_parties.0"],
  [policy('allow_weak_sandbox = "no"'), 'policy.allow_weak_sandbox: "no": write true or false'],
  ["[disk]\nkept_gib = 2\nkept_customer_gib = 3\n", "disk.kept_customer_gib: 3: it is more than kept_gib, 2, of all together"],
  ["[disk]\nleft_free_gib = -1\n", "disk.left_free_gib: -1: write a number from 0 to 1048576 (GiB)"],
  ["[vm]\nenabled = 1\n", "vm.enabled: 1: write true or false"],
  ['[xapi]\nurl = "https://10.0.0.2"\nsr = "a"\npassword_file = "p"\n', "xapi.fingerprints: nothing: a pool needs it (docs/xcp-ng.md)"],
  ['[xapi]\nurl = "http://10.0.0.2"\n', 'xapi.url: "http://10.0.0.2": write the address of a host of the pool, such as "https://10.0.0.2"'],
  [
    '[xapi]\nurl = "https://root:secret@10.0.0.2"\n',
    'xapi.url: "https://…@10.0.0.2": write the address of a host of the pool, such as "https://10.0.0.2", without a name or a password in it',
  ],
  ['[xapi]\nfingerprints = ["ab:cd"]\n', "xapi.fingerprints.0"],
  ['[xapi]\nnetwork_addresses = "10.9.0.0/24"\n', 'xapi.network_addresses: "10.9.0.0/24": write addresses of one network'],
  ['[xapi]\nnetwork_dns = ["a.example"]\n', "xapi.network_dns.0"],
  [`${POOL}network = "leases"\n`, "xapi.network_addresses: nothing: a network needs it"],
  [
    `${POOL}network = "leases"\nnetwork_addresses = "10.9.0.16-10.9.0.250/24"\nnetwork_gateway = "10.9.0.20"\n`,
    'xapi.network_gateway: "10.9.0.20": write a gateway of network_addresses\' network that is none of them',
  ],
  ['[xapi]\nboot = "pvh"\n', 'xapi.boot: "pvh": write "hvm" or "pv"'],
  ["pool = 65\n", "pool: 65: write a whole number from 0 to 64"],
  ["drain_seconds = -1\n", "drain_seconds: -1: write a whole number from 0 to 86400"],
  ['[labels]\nRegion = "eu"\n', "labels.Region: a label's name has at most 32 small letters, digits and -"],
  [`[labels]\n${Array.from({ length: 16 }, (_, i) => `a${i} = "b"\n`).join("")}`, ": at most 15 labels"],
  ['[labels]\nregion = "e u"\n', 'labels.region: "e u": write at most 64 letters'],
  [policy('huors = "22:00-06:00"'), "policy.huors: there is no such key; is policy.hours meant?"],
  ['memory = "4G"\n', "memory: there is no such key; is capacity.memory meant?"],
  ["[prices]\n", "prices: there is no such key; is price meant?"],
  ["quantum = 1\n", "quantum: there is no such key"],
  ["policy = 3\n", "policy: 3:"],
  ["pool = \n", "is not TOML"],
])("%j is refused: %s", async (toml, says) => {
  const refused = await read(toml).then(
    () => "it was taken",
    (error: Error) => error.message,
  );
  expect(refused.startsWith(file)).toBe(true);
  expect(refused).toContain(says);
});

it("says all that is wrong at once", async () => {
  await expect(read("pool = -1\n[capacity]\nvcpu = 0\nmemory = 4\n")).rejects.toThrow(
    /capacity\.vcpu: 0.*; capacity\.memory: 4.*; pool: -1/,
  );
});

it("takes what an owner means, and has a default for everything else", async () => {
  const toml = `[price]\nvcpu_hour = 0\n${capacity('memory = "4G"\ndisk = "512M"')}${policy('hours = "22:00-06:00"\negress_allow = ["10.1.2.3/32", "fd00::/8"]')}`;
  expect(await read(toml)).toMatchObject({
    price: { vcpu_hour: 0n, fuel_hour: 20_000_000n },
    capacity: { memory: 4_096, disk: 512 },
    disk: { kept_gib: 20, kept_customer_gib: 5, inputs_gib: 10, inputs_hours: 24 },
  });
  expect((await read("[disk]\nkept_gib = 2\n")).disk.kept_customer_gib).toBe(2);
  await rm(file);
  expect(await readServerConfig(file)).toMatchObject({ pool: 2, capacity: {} });
});

it.each([
  ["08:00-20:00", "08:00", true],
  ["08:00-20:00", "20:00", false],
  ["22:00-06:00", "23:59", true],
  ["22:00-06:00", "06:00", false],
  ["08:00-24:00", "23:59", true],
  ["00:00-24:00", "00:00", true],
])("hours = %j lists the machine at %s: %s", async (hours, time, listed) => {
  const config = await read(policy(`hours = "${hours}"`));
  expect(isListedAt(config, new Date(`2026-11-27T${time}:00`))).toBe(listed);
});

// parsers of TOML in several languages ended their program by these
it.each([
  ["lists in lists", `a = ${"[".repeat(100_000)}`],
  ["tables in tables", `a = ${"{a=".repeat(100_000)}`],
  ["closed lists in lists", `a = ${"[".repeat(100_000)}${"]".repeat(100_000)}`],
])("says of %s without end that they are none", (_, text) => {
  expect(() => parseServerConfig(text, "xenoserver.toml")).toThrow(/^xenoserver\.toml is not TOML: /);
});

it("says of names without end, and of names that every object has, that they are unknown", () => {
  for (const text of [`a${".b".repeat(20_000)} = 1`, "__proto__ = 1", "[__proto__]\npool = 9", "constructor.prototype.pool = 9"])
    expect(() => parseServerConfig(text, "xenoserver.toml")).toThrow(/^xenoserver\.toml/);
  expect(parseServerConfig("", "xenoserver.toml").pool).toBe(2);
});
