/**
 * One server leases the domains of a host: two would both sell what the hypervisor has free. The kernel keeps the lock (flock(1)) for as
 * long as a program lives that ends with the daemon, however that ends. Who controls the inputs: the owner's machine.
 */
import { spawn } from "node:child_process";

/** Its folder is root's alone to write in. */
const FILE = "/run/xenoserver-xen.lock";
/** A daemon that was killed lets go as soon as the program has read its end. */
const WAIT_SECONDS = 10;
const TAKEN = 9;

interface HostLock {
  release(): Promise<void>;
}

/** Throws, in words for the owner, where another server has it. */
export async function lockHost(file = FILE, waitSeconds = WAIT_SECONDS): Promise<HostLock> {
  const words = ["--timeout", String(waitSeconds), "--conflict-exit-code", String(TAKEN), file, "cat"];
  // not ended with the daemon's process group, but by its end
  const keeper = spawn("flock", words, { detached: true, stdio: ["pipe", "pipe", "ignore"], cwd: "/" });
  const gone = new Promise<void>((resolve) => keeper.once("exit", () => resolve()).once("error", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    keeper.stdin.on("error", () => {}); // said by its end
    keeper.stdout.once("data", () => resolve());
    keeper.once("error", reject).once("exit", (code) => {
      const why =
        code === TAKEN ? "another xenoserver leases this host's domains: two would sell the same memory" : `${file} cannot be locked`;
      reject(new Error(why));
    });
    keeper.stdin.write("\n"); // which cat says once it runs, under the lock
  });
  keeper.unref();
  return {
    async release() {
      keeper.stdin.end();
      await gone;
    },
  };
}
