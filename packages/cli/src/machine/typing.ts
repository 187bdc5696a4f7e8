/** A person's terminal joined to a program in a guest: raw while it runs, and itself again whatever ends it. */
import type { GuestProgram, WindowSize } from "@xenoservers/sdk";

const OTHERWISE: WindowSize = { columns: 80, rows: 24 };

export const windowOf = ({ stdout }: NodeJS.Process = process): WindowSize =>
  stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : OTHERWISE;

/** Returns what undoes it. */
export function joinTerminal(program: Pick<GuestProgram, "resize">): () => void {
  const { stdin, stdout } = process;
  const resized = (): void => program.resize(windowOf());
  const isRaw = stdin.isTTY && stdin.isRaw;
  const restore = (): void => {
    if (stdin.isTTY) stdin.setRawMode(isRaw);
  };
  if (stdin.isTTY) stdin.setRawMode(true);
  stdout.on("resize", resized);
  process.once("exit", restore);
  return () => {
    stdout.off("resize", resized);
    process.off("exit", restore);
    restore();
  };
}
