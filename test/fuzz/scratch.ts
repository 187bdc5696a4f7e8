/**
 * Where a run writes what must stand in files: one folder, which is the temporary folder of all its lanes and threads and goes when the
 * run ends. A run that is killed cannot remove its own; the next one does.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const OF_A_RUN = /^xeno-fuzz-(\d+)-/;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Removes the folders of runs that no process has any more. */
function removeLeft(below: string): void {
  for (const name of readdirSync(below)) {
    const [, pid] = OF_A_RUN.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(path.join(below, name), { recursive: true, force: true });
  }
}

/** From here on everything temporary of this process, and of those that it starts, lies in one folder, until the function that comes back is called. */
export function beginScratch(): () => void {
  const before = process.env["TMPDIR"];
  removeLeft(tmpdir());
  const folder = mkdtempSync(path.join(tmpdir(), `xeno-fuzz-${process.pid}-`));
  process.env["TMPDIR"] = folder;
  return () => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    rmSync(folder, { recursive: true, force: true });
  };
}
