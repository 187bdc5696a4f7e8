/** Programs that this process starts itself. */
import { execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { promisify } from "node:util";
import { codeOf } from "../thrown.ts";
import { spawned, type Exit } from "./process-id.ts";
import type { OpenFile, Printed, Program, RunOptions, StartOptions } from "./program.ts";

const execute = promisify(execFile);

export async function startHere(program: string, args: readonly string[], { stdio, ...options }: StartOptions): Promise<Program> {
  const opened = new Map<OpenFile, number>();
  try {
    for (const each of stdio)
      if (typeof each !== "string" && !opened.has(each)) opened.set(each, openSync(each.file, each.flags, each.mode));
    const own = stdio.map((each) => (typeof each === "string" ? each : opened.get(each)));
    const child = spawn(program, args, { ...options, stdio: own });
    const exited = new Promise<Exit>((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
    const pid = await spawned(child);
    return {
      ...{ pid, exited, stdio: child.stdio.map((each) => (each instanceof Socket ? each : null)) },
      kill(signal, isGroup = false) {
        if (child.exitCode !== null || child.signalCode !== null) return;
        try {
          process.kill(isGroup ? -pid : pid, signal);
        } catch (error) {
          if (codeOf(error) !== "ESRCH") throw error;
        }
      },
      unref: () => child.unref(),
    };
  } finally {
    for (const fd of opened.values()) closeSync(fd);
  }
}

/** Its standard input is at its end. */
export async function runHere(program: string, args: readonly string[], options: RunOptions): Promise<Printed> {
  const going = execute(program, args, { ...options, encoding: "utf8" });
  going.child.stdin?.on("error", () => {}).end();
  return going;
}
