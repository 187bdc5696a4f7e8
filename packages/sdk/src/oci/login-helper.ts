/**
 * Logins that another program keeps (docker/docker-credential-helpers): `docker-credential-NAME get` reads the registry's address on its
 * standard input and writes JSON. Who controls the inputs: whoever's settings name the program; the program.
 */
import { spawn } from "node:child_process";
import { visible } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import { firstJsonIn } from "./first-json.ts";
import type { Login } from "./login.ts";

/** People unlock a keychain meanwhile. */
const HELPER_MS_MAX = 120_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** As a user's name: the secret is a token to log in with, not a password. */
const BY_TOKEN = "<token>";
/** What helpers of every kind write where they hold nothing; the end is that of those written in Go. */
const NOTHING_THERE = /credentials not found/i;
/** Of what it says to people. */
const WORDS_MAX = 200;
const zWord = z._default(z.nullish(z.string()), "");
const zAnswer = z.object({ username: zWord, secret: zWord });

interface Answered {
  code: number | null;
  stdout: string;
  /** In brackets, the last line that it has for people; empty where it has none. */
  words: string;
}

/** As programs in Go, which engines are, find a login: fields in any case of their letters, and nothing behind it is read. */
function loginIn(stdout: string): z.infer<typeof zAnswer> | null {
  const answer = firstJsonIn(stdout);
  if (typeof answer !== "object" || answer === null) return null;
  const named = Object.entries(answer).map(([name, value]): [string, unknown] => [name.toLowerCase(), value]);
  const read = zAnswer.safeParse(Object.fromEntries(named));
  return read.success && named.some(([name]) => name === "secret") ? read.data : null;
}

/** Throws, in words without any secret, where the program cannot be run. */
function get(program: string, address: string, timers: Timers, env: NodeJS.ProcessEnv): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "pipe"], env });
    const chunks: Buffer[] = [];
    let [size, told] = [0, ""];
    let exit: { code: number | null } | null = null;
    const over = (): void => {
      done();
      // what it leaves running may hold both for as long as it likes
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const giveUp = (why: string): void => {
      over();
      child.kill("SIGKILL");
      reject(new Error(`${program} ${why}`));
    };
    const done = timers.after(HELPER_MS_MAX, () => giveUp("does not answer"));
    const answer = (): void => {
      over();
      const last = told.trim().split("\n").at(-1) ?? "";
      // a shell that was told to show what it does shows what it says, too
      const words = last === "" || /secret/i.test(last) ? "" : ` (${visible(last.slice(0, WORDS_MAX))})`;
      resolve({ code: exit?.code ?? null, stdout: Buffer.concat(chunks).toString("utf8"), words });
    };
    // what it leaves running keeps nobody waiting once the login is here
    const answerIfWhole = (): void => {
      if (exit?.code === 0 && loginIn(Buffer.concat(chunks).toString("utf8"))) answer();
    };
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > ANSWER_BYTES_MAX) return giveUp("says more than any login is");
      chunks.push(chunk);
      answerIfWhole();
    });
    child.stderr.on("data", (chunk: Buffer) => (told = (told + chunk.toString("utf8")).slice(-2 * WORDS_MAX)));
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdin.end(`${address}\n`);
    child.once("error", (error: NodeJS.ErrnoException) => {
      over();
      reject(new Error(error.code === "ENOENT" ? `${program} is not installed` : `${program} cannot be run (${error.code ?? "unknown"})`));
    });
    child.once("exit", (code) => {
      exit = { code };
      answerIfWhole();
    });
    child.once("close", answer);
  });
}

/** Null where it holds none. Throws, in words without any secret. */
export async function askHelper(name: string, address: string, timers: Timers, env: NodeJS.ProcessEnv): Promise<Login | null> {
  // it is a program's name, not a way to one
  if (!/^[\w.-]{1,64}$/.test(name)) throw new Error("the name of a credential helper is letters, digits and dashes");
  const program = `docker-credential-${name}`;
  const { code, stdout, words } = await get(program, address, timers, env);
  if (code !== 0 && NOTHING_THERE.test(stdout + words)) return null;
  if (code !== 0) throw new Error(`${program} failed (exit code ${code ?? "none"})${words}`);
  const login = loginIn(stdout);
  if (!login) throw new Error(`what ${program} says is no login${words}`); // and may be a secret
  const { username: user, secret } = login;
  if (!secret) return null;
  return user === BY_TOKEN ? { kind: "token", token: secret } : { kind: "password", user: user ?? "", password: secret };
}
