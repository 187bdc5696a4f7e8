/** The hours of a week by a clock on the owner's wall, over midnights, week's ends and the two nights on which clocks are changed. */
import { expect, it } from "vitest";
import { hoursShown, isListedAt, parseServerConfig } from "./config.ts";

const settings = (hours: string, zone = "UTC") => parseServerConfig(`[policy]\nhours = ${hours}\ntime_zone = "${zone}"\n`, "f");
const OFFICE = '"mon-fri 18:00-08:00, sat-sun 00:00-24:00"';

// 2026-11-23 is a monday
it.each([
  [OFFICE, "2026-11-23T17:59", false],
  [OFFICE, "2026-11-23T18:00", true],
  [OFFICE, "2026-11-24T07:59", true],
  [OFFICE, "2026-11-24T08:00", false],
  [OFFICE, "2026-11-27T23:59", true], // friday night
  [OFFICE, "2026-11-28T07:59", true], // into saturday
  [OFFICE, "2026-11-28T12:00", true],
  [OFFICE, "2026-11-29T23:59", true],
  [OFFICE, "2026-11-30T00:00", false], // monday before work: sunday's range is over, and monday's not begun
  ['"sun 22:00-06:00"', "2026-11-30T05:59", true], // over the end of the week
  ['"sun 22:00-06:00"', "2026-11-30T06:00", false],
  ['"sun 22:00-06:00"', "2026-11-29T05:00", false],
  ['"sat-mon 10:00-12:00"', "2026-11-29T11:00", true],
  ['"sat-mon 10:00-12:00"', "2026-11-30T11:00", true],
  ['"sat-mon 10:00-12:00"', "2026-11-24T11:00", false],
  ['["Mon 10:00 - 12:00", "wed  10:00-12:00"]', "2026-11-25T10:00", true],
  ['["Mon 10:00 - 12:00", "wed  10:00-12:00"]', "2026-11-24T10:00", false],
])("hours = %s lists the machine at %s: %s", (hours, time, listed) => {
  expect(isListedAt(settings(hours), new Date(`${time}:00Z`))).toBe(listed);
});

it.each([
  ["Europe/Berlin", "2026-11-23T16:59Z", false],
  ["Europe/Berlin", "2026-11-23T17:00Z", true],
  ["Europe/Berlin", "2026-07-20T15:59Z", false],
  ["Europe/Berlin", "2026-07-20T16:00Z", true], // in summer
  ["Asia/Kathmandu", "2026-11-23T12:14Z", false],
  ["Asia/Kathmandu", "2026-11-23T12:15Z", true],
  ["Pacific/Kiritimati", "2026-11-23T04:00Z", true], // monday evening, while it is morning elsewhere
])("goes by the clocks of %s at %s: %s", (zone, time, listed) => {
  expect(isListedAt(settings('"mon 18:00-20:00"', zone), new Date(time))).toBe(listed);
});

it("follows the wall's clock through the nights on which it is changed", () => {
  const night = settings('"02:00-03:00"', "Europe/Berlin");
  // there is no such hour on one night, and twice on the other
  expect(["2026-03-29T00:59Z", "2026-03-29T01:00Z"].map((at) => isListedAt(night, new Date(at)))).toEqual([false, false]);
  const twice = ["2026-10-24T23:59Z", "2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:00Z"];
  expect(twice.map((at) => isListedAt(night, new Date(at)))).toEqual([false, true, true, false]);
});

it("says by which clock it goes", () => {
  expect(hoursShown(settings(OFFICE, "Europe/Berlin"), new Date("2026-11-27T22:30:00Z"))).toBe(
    "mon-fri 18:00-08:00, sat-sun 00:00-24:00 (now fri 23:30 in Europe/Berlin)",
  );
  expect(hoursShown(parseServerConfig("", "f"), new Date())).toBeNull();
});
