/** What `xentop -b` prints of each domain. Pure. Who controls the inputs: the toolstack; names, whoever made a domain. */

export interface DomainUsage {
  name: string;
  cpuSeconds: number;
  memoryKib: number;
  sentKib: number;
  receivedKib: number;
  reads: number;
  writes: number;
}

const COLUMNS = [
  ...["NAME", "STATE", "CPU(sec)", "CPU(%)", "MEM(k)", "MEM(%)", "MAXMEM(k)", "MAXMEM(%)", "VCPUS", "NETS", "NETTX(k)", "NETRX(k)"],
  ...["VBDS", "VBD_OO", "VBD_RD", "VBD_WR", "VBD_RSECT", "VBD_WSECT", "SSID"],
].join(" ");
const isHeading = (line: string): boolean => line.trim().split(/ +/).join(" ") === COLUMNS;
/** From its end, for a name may hold anything. */
const LINE = new RegExp(
  [
    /^ *(?<name>.*?) [d-][s-][b-][c-][p-][r-] +(?<cpu>\d{1,15}) +[\d.]+ +(?<memory>\d{1,15}) +[\d.]+ +(?:\d+|no limit) +(?:[\d.]+|n\/a) +/,
    /\d+ +\d+ +(?<sent>\d{1,15}) +(?<received>\d{1,15}) +\d+ +\d+ +(?<reads>\d{1,15}) +(?<writes>\d{1,15}) +\d+ +\d+ +\d+$/,
  ]
    .map(({ source }) => source)
    .join(""),
);

/** Of the last of the rounds that were printed. Throws where a line is none of a domain's. */
export function parseUsage(text: string): DomainUsage[] {
  const lines = text.trimEnd().split("\n");
  const from = lines.findLastIndex(isHeading);
  if (from < 0) throw new Error("xentop -b has another heading than it should");
  return lines.slice(from + 1).map((line) => {
    const found = LINE.exec(line)?.groups;
    if (!found) throw new Error(`xentop -b says what is not understood: ${JSON.stringify(line.slice(0, 200))}`);
    const { name = "", cpu, memory, sent, received, reads, writes } = found;
    return {
      ...{ name, cpuSeconds: Number(cpu), memoryKib: Number(memory), sentKib: Number(sent), receivedKib: Number(received) },
      ...{ reads: Number(reads), writes: Number(writes) },
    };
  });
}
