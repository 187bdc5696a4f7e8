/** `xeno exec`: a program in the machine, run by its guest agent. */
import { z } from "zod";
import type { ExecInput } from "../input/verbs/machine.ts";
import { askAgent, hold } from "../machine/hold.ts";
import { printJson, say, showRaw } from "../output/terminal.ts";

const POLL_MS = 100;
const SIGNALLED = 128;
const zStarted = z.object({ pid: z.int() });
const zStatus = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  signal: z.int().optional(),
  "out-data": z.string().optional(),
  "err-data": z.string().optional(),
  "out-truncated": z.boolean().optional(),
});

const decoded = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64");

export async function execIn({ lease, command, json }: ExecInput): Promise<void> {
  const [program, ...args] = command[0] === "--" ? command.slice(1) : command;
  const { client, session, close } = await hold(lease, null);
  try {
    const { pid } = zStarted.parse(await askAgent(session, "guest-exec", { path: program, arg: args, "capture-output": true }));
    for (;;) {
      const status = zStatus.parse(await askAgent(session, "guest-exec-status", { pid }));
      if (status.exited) return showEnd(status, json);
      await client.sleep(POLL_MS);
    }
  } finally {
    close();
  }
}

function showEnd(status: z.infer<typeof zStatus>, json: boolean): void {
  const [stdout, stderr] = [decoded(status["out-data"]), decoded(status["err-data"])];
  const exitCode = status.exitcode ?? SIGNALLED + (status.signal ?? 0);
  process.exitCode = exitCode & 255;
  if (json) return printJson({ exitCode, stdout: stdout.toString(), stderr: stderr.toString() });
  showRaw("stdout", stdout);
  showRaw("stderr", stderr);
  if (status["out-truncated"]) say("(output cut at 16 MiB, what the guest agent keeps)");
}
