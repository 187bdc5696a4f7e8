/**
 * Programs that end as soon as this process has, however it did (SIGKILL and a closed terminal, too): a shell beside each reads of a pipe
 * that only this process holds, and ends the program's group where the pipe breaks. A parent-death signal would be lost where the program
 * changes its user or its user namespace (prctl(2), PR_SET_PDEATHSIG).
 */
import { spawn } from "node:child_process";
import type { Program } from "./program.ts";

/** `$0`: the group's number, which may be another's by then: it is told by when its first process began (proc(5), field 22 of stat). */
const WATCH = `began() { cut -d " " -f 22 "/proc/$0/stat" 2>/dev/null; }
was=$(began)
read -r _ || [ -z "$was" ] || [ "$(began)" != "$was" ] || kill -KILL "-$0"`;

/** `program`: the first of its group. Where nobody can watch, it ends as any other. */
export function endsWithUs({ pid, exited }: Pick<Program, "pid" | "exited">): void {
  const watch = spawn("sh", ["-c", WATCH, String(pid)], { detached: true, stdio: ["pipe", "ignore", "ignore"], cwd: "/" });
  for (const each of [watch, watch.stdin]) each.on("error", () => {});
  watch.unref();
  if ("unref" in watch.stdin && typeof watch.stdin.unref === "function") watch.stdin.unref();
  void exited.then(() => watch.stdin.end("\n"));
}
