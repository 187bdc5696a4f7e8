/** A person's terminal joined to a program in a guest: raw while it runs, and itself again whatever ends it. */
import type { GuestProgram, WindowSize } from "@xenoservers/sdk";

const OTHERWISE: WindowSize = { columns: 80, rows: 24 };

type Streams = Pick<NodeJS.Process, "stdin" | "stdout" | "stderr">;

/** Whichever of them is the terminal: what is printed may go to a file while somebody types. */
const shownOn = ({ stdout, stderr }: Streams): NodeJS.WriteStream | null => [stdout, stderr].find(({ isTTY }) => isTTY) ?? null;

export function windowOf(streams: Streams = process): WindowSize {
  const terminal = shownOn(streams);
  return terminal === null ? OTHERWISE : { columns: terminal.columns, rows: terminal.rows };
}

/** Returns what undoes it. */
export function joinTerminal(program: Pick<GuestProgram, "resize">, streams: Streams = process): () => void {
  const { stdin } = streams;
  const terminal = shownOn(streams);
  const resized = (): void => program.resize(windowOf(streams));
  const isRaw = stdin.isTTY && stdin.isRaw;
  const restore = (): void => {
    if (stdin.isTTY) stdin.setRawMode(isRaw);
  };
  if (stdin.isTTY) stdin.setRawMode(true);
  terminal?.on("resize", resized);
  process.once("exit", restore);
  return () => {
    terminal?.off("resize", resized);
    process.off("exit", restore);
    restore();
  };
}
