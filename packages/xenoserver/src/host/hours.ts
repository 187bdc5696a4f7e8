/**
 * When an owner lists its machine: `mon-fri 18:00-08:00, sat-sun 00:00-24:00`. A range begins on each of its days and may end on the next;
 * without days it is of every day. Times are those that a clock on the wall shows in the owner's time zone. Who controls the inputs: the
 * owner of the machine.
 */
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = DAYS.length * DAY_MINUTES;
const RANGES_MAX = 64;

/** In minutes of a week that begins on monday; `to` may lie in the next. */
interface Span {
  from: number;
  to: number;
}

type Hours = { ok: true; spans: readonly Span[] } | { ok: false; why: string };

export const HOURS_LIKE = 'such as "22:00-06:00" or "mon-fri 18:00-08:00, sat-sun 00:00-24:00"';
const RANGE = /^(?:([a-z]+)(?:-([a-z]+))? +)?(\d{1,2}:\d{2}) *- *(\d{1,2}:\d{2})$/;

/** `08:30` in minutes; null where no day has such a time. */
function minuteOf(time: string): number | null {
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  const at = hour * 60 + minute;
  return /^\d{2}:/.test(time) && minute < 60 && at <= DAY_MINUTES ? at : null;
}

const dayOf = (name: string): number => DAYS.findIndex((day) => day === name);

/** The days from one to the other, over sunday where it must be. */
function daysFrom(first: number, last: number): number[] {
  const count = ((last - first + DAYS.length) % DAYS.length) + 1;
  return Array.from({ length: count }, (_, i) => (first + i) % DAYS.length);
}

function rangeIn(text: string): Hours {
  const quoted = JSON.stringify(text.slice(0, 40));
  const match = RANGE.exec(text);
  if (!match) return { ok: false, why: `${quoted} is no range of times: write some ${HOURS_LIKE}` };
  const [, firstName = "mon", lastName = match[1] ?? "sun", fromText = "", toText = ""] = match;
  const unknown = [firstName, lastName].find((name) => dayOf(name) < 0);
  if (unknown !== undefined) return { ok: false, why: `${quoted}: ${unknown} is no day: write ${DAYS.join(", ")}` };
  const [from, to] = [minuteOf(fromText), minuteOf(toText)];
  if (from === null || to === null || from === DAY_MINUTES)
    return { ok: false, why: `${quoted}: write times as 08:00, from 00:00 to 24:00` };
  if (from === to) return { ok: false, why: `${quoted} begins when it ends: write 00:00-24:00 for a whole day, or leave it out` };
  const days = daysFrom(dayOf(firstName), dayOf(lastName));
  const long = to > from ? to - from : to - from + DAY_MINUTES;
  return { ok: true, spans: days.map((day) => ({ from: day * DAY_MINUTES + from, to: day * DAY_MINUTES + from + long })) };
}

/** Of one text with commas, or of several texts. */
export function hoursIn(written: string | readonly string[]): Hours {
  const texts = [written].flat().flatMap((text) => text.split(","));
  const ranges = texts.map((text) => text.trim().toLowerCase());
  if (ranges.length > RANGES_MAX) return { ok: false, why: `write at most ${RANGES_MAX} ranges` };
  const spans: Span[] = [];
  for (const range of ranges) {
    const found = rangeIn(range);
    if (!found.ok) return found;
    spans.push(...found.spans);
  }
  return { ok: true, spans };
}

/** What a clock in that zone shows: the day's name and the time; `timeZone` undefined: the machine's own. */
function wallClock(date: Date, timeZone: string | undefined): { day: string; time: string } {
  const format = new Intl.DateTimeFormat("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone });
  const parts = new Map(format.formatToParts(date).map(({ type, value }) => [type, value]));
  return { day: (parts.get("weekday") ?? "").toLowerCase().slice(0, 3), time: `${parts.get("hour") ?? ""}:${parts.get("minute") ?? ""}` };
}

export function isWithin(spans: readonly Span[], date: Date, timeZone: string | undefined): boolean {
  const { day, time } = wallClock(date, timeZone);
  const now = dayOf(day) * DAY_MINUTES + (minuteOf(time) ?? 0);
  return spans.some(({ from, to }) => [now, now + WEEK_MINUTES].some((at) => from <= at && at < to));
}

/** As an owner is shown by which clock its hours go. */
export function clockShown(date: Date, timeZone: string | undefined): string {
  const { day, time } = wallClock(date, timeZone);
  return `${day} ${time} in ${timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone}`;
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
