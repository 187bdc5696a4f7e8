/**
 * Programs that end as soon as this process has, however it did (SIGKILL and a closed terminal, too): a shell beside each reads of a pipe
 * that only this process holds, and ends the program's group where the pipe breaks. A parent-death signal would be lost where the program
 * changes its user or its user namespace (prctl(2), PR_SET_PDEATHSIG).
 */
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import type { Program } from "./program.ts";

/** `$0`: the group's number, which may be another's by then: it is told by when its first process began (proc(5), field 22 of stat). */
const WATCH = `began() { at=; read -r at 2>/dev/null <"/proc/$0/stat"; set -- \${at##*) }; at=\${20-}; }
began
was=$at
read -r _ && exit
began
[ -z "$was" ] || [ "$at" != "$was" ] || kill -KILL "-$0"`;

/** `program`: the first of its group. Where nobody can watch, it ends as any other. */
export function endsWithUs({ pid, exited }: Pick<Program, "pid" | "exited">): void {
  const watch = spawn("sh", ["-c", WATCH, String(pid)], { detached: true, stdio: ["pipe", "ignore", "ignore"], cwd: "/" });
  for (const each of [watch, watch.stdin]) each.on("error", () => {});
  watch.unref();
  if (watch.stdin instanceof Socket) watch.stdin.unref();
  void exited.then(() => watch.stdin.end("\n"));
}
