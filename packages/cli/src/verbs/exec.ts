/** `xeno exec`: a program in the machine, with its streams, its terminal and its exit code. */
import type { Readable } from "node:stream";
import { GuestProgram, agentExec, isShellFull, isWithoutShell, type ProgramEnd } from "@xenoservers/sdk";
import { environmentOf } from "../input/environment.ts";
import { isPiped, ownInput } from "../input/standard-input.ts";
import type { ExecInput } from "../input/verbs/machine.ts";
import { Feed } from "../machine/feed.ts";
import { hold, type Held } from "../machine/hold.ts";
import { passSignals } from "../machine/pass-signals.ts";
import { joinTerminal, windowOf } from "../machine/typing.ts";
import { whenFree } from "../machine/when-free.ts";
import { encodedStreams } from "../output/encoded.ts";
import { printJson, say, showRaw, type Stream } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** Of what `--json` holds of each stream. */
const JSON_BYTES_MAX = 64 * 1024 * 1024;

function programIn({ command, terminal }: ExecInput): { args: string[]; isShell: boolean } {
  const args = command[0] === "--" ? command.slice(1) : [...command];
  const isShell = args.length === 0;
  if (isShell && !terminal && !process.stdin.isTTY) throw new UserError("say which program: xeno exec LEASE -- PROGRAM");
  return { args, isShell };
}

/** Shows what comes, no faster than it is taken. */
async function show(stream: Stream, from: Readable): Promise<void> {
  for await (const bytes of from) await showRaw(stream, bytes as Uint8Array);
}

async function collect(from: Readable): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const bytes of from) {
    parts.push(Buffer.from(bytes as Uint8Array));
    if ((size += parts.at(-1)!.length) > JSON_BYTES_MAX)
      throw new UserError(`it prints more than ${JSON_BYTES_MAX} bytes: leave --json out`);
  }
  return parts;
}

const isTyped = (input: ExecInput): boolean => input.terminal || (programIn(input).isShell && process.stdin.isTTY);

const isFed = (input: ExecInput): boolean => !input.noStdin && (input.stdin || isTyped(input) || isPiped());

/** Rejects where it cannot be read. */
function fed(program: GuestProgram, from: Feed | null): Promise<never>[] {
  if (from !== null) return [from.to(program)];
  program.stdin.end();
  return [];
}

async function shown(program: GuestProgram, json: boolean): Promise<void> {
  if (!json) {
    await Promise.all([show("stdout", program.stdout), show("stderr", program.stderr)]);
    return;
  }
  const [stdout, stderr] = await Promise.all([collect(program.stdout), collect(program.stderr)]);
  const { exitCode, why } = await program.ended;
  printJson({ exitCode, ...encodedStreams({ stdout, stderr }), ...(why === null ? {} : { problem: why }) });
}

/** `from`: of what was refused the next gets all of it. */
async function follow(held: Held, input: ExecInput, from: Feed | null): Promise<ProgramEnd> {
  const { args } = programIn(input);
  const { user, workdir } = input;
  const env = environmentOf({ env: [...(isTyped(input) ? ["TERM"] : []), ...input.env], envFile: input.envFile });
  const program = await GuestProgram.start(held.session.machine, {
    args,
    ...(env.size === 0 ? {} : { env: [...env] }),
    ...(user === null ? {} : { user }),
    ...(workdir === null ? {} : { workdir }),
    ...(isTyped(input) ? { terminal: windowOf() } : {}),
  });
  const undo = isTyped(input) ? joinTerminal(program) : () => {};
  const passing = passSignals(program);
  try {
    await Promise.race([shown(program, input.json), ...fed(program, from)]);
    return await program.ended;
  } catch (error) {
    program.kill();
    // told to end before a place was free: nothing waits on
    const exitCode = passing.exitCode ?? (isShellFull(error) ? passing.told : null);
    if (exitCode === null) throw error;
    return { exitCode, why: null };
  } finally {
    passing.stop();
    undo();
  }
}

/** In a guest without Perl. */
async function byAgent(held: Held, input: ExecInput): Promise<ProgramEnd> {
  const { args } = programIn(input);
  if (input.terminal || args.length === 0)
    throw new UserError("this guest has no Perl, which a terminal needs there: install it, or use xeno ssh or xeno console");
  const ran = await agentExec(held, args);
  if (input.json) printJson({ exitCode: ran.exitCode, ...encodedStreams({ stdout: [ran.stdout], stderr: [ran.stderr] }) });
  else {
    await showRaw("stdout", ran.stdout);
    await showRaw("stderr", ran.stderr);
  }
  if (ran.isCut) say("(output cut at 16 MiB, what the guest agent keeps: with Perl in the guest it has no end)");
  return { exitCode: ran.exitCode, why: null };
}

export async function execIn(input: ExecInput): Promise<void> {
  const held = await hold(input.lease, null);
  try {
    const from = isFed(input) ? new Feed(ownInput()) : null;
    const { exitCode, why } = await whenFree(held, () => follow(held, input, from)).catch((error: unknown) => {
      if (isWithoutShell(error)) return byAgent(held, input);
      throw error;
    });
    if (why !== null && !input.json) say(why);
    process.exitCode = exitCode;
  } finally {
    process.stdin.destroy();
    held.close();
  }
}
