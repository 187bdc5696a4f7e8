/** The shell that guests run (guests/src/qemu/init/shell.pl), here on this machine itself, for tests. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import path from "node:path";
import type { Duplex } from "node:stream";
import type { MachineLink } from "../session/machine-link.ts";
import { GuestFiles } from "./files.ts";
import type { Wire } from "./wire.ts";
import { GuestProgram, type ProgramWanted } from "./program.ts";

const SHELL = path.resolve(import.meta.dirname, "../../../guests/src/qemu/init/shell.pl");

export const hasPerl = spawnSync("perl", ["-e", "1"]).status === 0;
if (!hasPerl) console.warn("SKIPPED: a guest's shell needs perl, which is not installed here");

const linkTo = (socket: Duplex, passed: (bytes: Uint8Array) => void): MachineLink =>
  ({
    async shell(wire: Wire) {
      wire.on("data", (bytes: Uint8Array) => {
        passed(bytes);
        if (!socket.write(bytes)) wire.pause();
      });
      const goOn = (): void => void wire.resume();
      socket
        .on("error", () => {})
        .on("drain", goOn)
        .on("close", goOn);
      socket.on("data", (bytes: Buffer) => {
        passed(bytes);
        socket.pause();
        wire.write(bytes, () => socket.resume());
      });
      wire.once("end", () => socket.end());
      wire.once("close", () => socket.destroy());
    },
  }) as unknown as MachineLink;

export class ShellHere {
  #children: ChildProcess[] = [];
  /** That went to shells and came from them. */
  bytes = 0;
  readonly #passed = (bytes: Uint8Array): void => void (this.bytes += bytes.length);

  /** A shell of its own, whose port is a socket. */
  port(): Duplex {
    const child = spawn("perl", [SHELL, "/", "-", "3"], { stdio: ["ignore", "inherit", "inherit", "pipe"] });
    this.#children.push(child);
    // a pipe that is asked for goes both ways
    return child.stdio[3] as unknown as Duplex;
  }

  /** To a shell of its own. */
  link(): MachineLink {
    return linkTo(this.port(), this.#passed);
  }

  start(wanted: ProgramWanted): Promise<GuestProgram> {
    return GuestProgram.start(this.link(), wanted);
  }

  open(): Promise<GuestFiles> {
    return GuestFiles.open(this.link());
  }

  async withFiles<T>(use: (files: GuestFiles) => Promise<T>): Promise<T> {
    const files = await this.open();
    try {
      return await use(files);
    } finally {
      files.close();
    }
  }

  end(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.#children = [];
  }
}
