/**
 * What `xl list -v` prints. Pure. Its columns have no fixed widths and no quotes, so a line is read from its end: a name may hold anything
 * that whoever administers the host put there. Who controls the inputs: the toolstack; names, whoever made a domain; the number that a
 * domain ended with, its guest: any of one byte, of which xl has a letter for six and a question mark for the others.
 */

/** Why a domain ended, by Xen's numbers (public/sched.h, SHUTDOWN_*). */
export const SHUTDOWN_REASONS = ["poweroff", "reboot", "suspend", "crash", "watchdog", "soft-reset"] as const;
export type ShutdownReason = (typeof SHUTDOWN_REASONS)[number];

export interface ListedDomain {
  name: string;
  id: number;
  memoryMib: number;
  vcpus: number;
  uuid: string;
  paused: boolean;
  /** It is being taken down, and may be listed for a while. */
  dying: boolean;
  /** Null while it lives. */
  shutdown: ShutdownReason | null;
  cpuSeconds: number;
}

const LINE = new RegExp(
  [
    /^(?<name>.*?) +(?<id>\d{1,15}) +(?<memory>\d{1,15}) +(?<vcpus>\d{1,15}) +/,
    /(?<state>[r-][b-][p-][s-][-rscwS?][d-]) +(?<time>\d{1,15}\.\d) +/,
    /(?<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +(?<reason>-|[0-9a-f]+) +\S+$/,
  ]
    .map(({ source }) => source)
    .join(""),
);

/** Null where it is no line of a domain. */
function parseLine(line: string): ListedDomain | null {
  const found = LINE.exec(line)?.groups;
  if (!found) return null;
  const { name = "", id, memory, vcpus, state = "", time, uuid = "", reason = "-" } = found;
  return {
    ...{ name, id: Number(id), memoryMib: Number(memory), vcpus: Number(vcpus), uuid, cpuSeconds: Number(time) },
    ...{ paused: state[2] === "p", dying: state[5] === "d" },
    // a number that Xen knows no reason by is still an end
    shutdown: reason === "-" ? null : (SHUTDOWN_REASONS[Number.parseInt(reason, 16)] ?? "crash"),
  };
}

/**
 * Every domain that is listed. Throws where a line after the heading is none: what is not understood may be a domain of ours; and where the
 * list is not whole, as after a write that failed: a domain that is not in it has ended for whoever follows it.
 */
export function parseListing(text: string): ListedDomain[] {
  const [heading = "", ...lines] = text.trimEnd().split("\n");
  if (!/^Name +ID +Mem VCPUs\s+State\s+Time\(s\) +UUID +Reason-Code\s+Security Label$/.test(heading))
    throw new Error("xl list -v has another heading than it should");
  if (!text.endsWith("\n")) throw new Error("xl list -v was cut off");
  const domains = lines.map((line) => {
    const domain = parseLine(line);
    if (!domain) throw new Error(`xl list -v says what is not understood: ${JSON.stringify(line.slice(0, 200))}`);
    return domain;
  });
  if (!domains.some(({ id }) => id === 0)) throw new Error("xl list -v does not list the domain that it runs in");
  return domains;
}
