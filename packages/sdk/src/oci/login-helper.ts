/**
 * Logins that another program keeps (docker/docker-credential-helpers): `docker-credential-NAME get` reads the registry's address on its
 * standard input and writes JSON. Who controls the inputs: whoever's settings name the program; the program.
 */
import { spawn } from "node:child_process";
import type { Timers } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import type { Login } from "./login.ts";

/** People unlock a keychain meanwhile. */
const HELPER_MS_MAX = 120_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** As a user's name: the secret is a token to log in with, not a password. */
const BY_TOKEN = "<token>";
/** What helpers of every kind write where they hold nothing; the end is that of those written in Go. */
const NOTHING_THERE = /credentials not found/i;
const zAnswer = z.object({ Username: z.string(), Secret: z.string() });

interface Answered {
  code: number | null;
  stdout: string;
}

/** Throws, in words without any secret, where the program cannot be run. */
function get(program: string, address: string, timers: Timers, env: NodeJS.ProcessEnv): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"], env });
    const chunks: Buffer[] = [];
    let size = 0;
    const giveUp = (why: string): void => {
      child.kill("SIGKILL");
      reject(new Error(`${program} ${why}`));
    };
    const done = timers.after(HELPER_MS_MAX, () => giveUp("does not answer"));
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > ANSWER_BYTES_MAX) giveUp("says more than any login is");
      else chunks.push(chunk);
    });
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdin.end(`${address}\n`);
    child.once("error", (error: NodeJS.ErrnoException) => {
      done();
      reject(new Error(error.code === "ENOENT" ? `${program} is not installed` : `${program} cannot be run (${error.code ?? "unknown"})`));
    });
    child.once("close", (code) => {
      done();
      resolve({ code, stdout: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

/** Null where it holds none. Throws, in words without any secret. */
export async function askHelper(name: string, address: string, timers: Timers, env: NodeJS.ProcessEnv): Promise<Login | null> {
  // it is a program's name, not a way to one
  if (!/^[\w.-]{1,64}$/.test(name)) throw new Error("the name of a credential helper is letters, digits and dashes");
  const program = `docker-credential-${name}`;
  const { code, stdout } = await get(program, address, timers, env);
  if (code !== 0 && NOTHING_THERE.test(stdout)) return null;
  if (code !== 0) throw new Error(`${program} failed (exit code ${code ?? "none"})`);
  let answer: z.infer<typeof zAnswer>;
  try {
    answer = zAnswer.parse(JSON.parse(stdout));
  } catch {
    throw new Error(`what ${program} says is no login`); // and may be a secret
  }
  const { Username: user, Secret: secret } = answer;
  if (secret === "") return null;
  return user === BY_TOKEN ? { kind: "token", token: secret } : { kind: "password", user, password: secret };
}
