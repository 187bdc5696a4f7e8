/** `xeno cp`: files and folders into a machine or out of it. */
import { lstat, stat } from "node:fs/promises";
import path from "node:path";
import {
  agentCopyIn,
  agentCopyOut,
  archiveIn,
  archiveOut,
  type CopyOptions,
  GuestFiles,
  assertPlaceFor,
  copyIn,
  copyOut,
  isWithoutShell,
} from "@xenoservers/sdk";
import type { CopyInput } from "../input/verbs/machine.ts";
import { hold, type Held } from "../machine/hold.ts";
import { whenFree } from "../machine/when-free.ts";
import { ProgressLine } from "../output/progress.ts";
import { say, showRaw } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

interface Place {
  lease: string;
  file: string;
}

export function placeIn(text: string): Place | null {
  const [, lease, file] = /^([0-9a-f]{4,64}):(\/.*)$/s.exec(text) ?? [];
  return lease === undefined || file === undefined ? null : { lease, file };
}

/** What is copied, and what else does it where the guest has no Perl. */
interface Copy {
  lease: string;
  what: string;
  byShell(files: GuestFiles, options: CopyOptions): Promise<string[]>;
  byAgent(held: Held): Promise<void>;
}

async function outOf({ lease, file }: Place, to: string): Promise<Copy> {
  const isFolder = await stat(to).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if ((to.endsWith("/") || to.endsWith(path.sep)) && !isFolder) throw new UserError(`there is no folder ${to}`);
  await assertPlaceFor(isFolder ? to : path.dirname(path.resolve(to)));
  return {
    ...{ lease, what: path.posix.basename(file) },
    byShell: (files, options) => copyOut(files, file, to, options),
    byAgent: ({ session }) => agentCopyOut(session, file, to),
  };
}

async function into(from: string, { lease, file }: Place): Promise<Copy> {
  const stats = await stat(from)
    .catch(() => lstat(from))
    .catch(() => {
      throw new UserError(`there is no file or folder ${from}`);
    });
  return {
    ...{ lease, what: path.basename(from) },
    byShell: (files, options) => copyIn(files, from, file, options),
    async byAgent({ session }) {
      if (!stats.isFile())
        throw new UserError("this guest has no Perl, which copies of folders need there: install it, or copy file by file");
      await agentCopyIn(session, from, file);
    },
  };
}

/** Standard input or output, as with container engines: a tar archive. */
const STREAM = "-";

async function noAgent(): Promise<never> {
  throw new UserError("this guest has no Perl, which archives need there: install it, or copy file by file");
}

function archiveOf({ lease, file }: Place): Copy {
  if (process.stdout.isTTY) throw new UserError(`an archive is nothing to read: xeno cp ${lease}:${file} - > FILE.tar`);
  return {
    ...{ lease, what: path.posix.basename(file), byAgent: noAgent },
    byShell: (files, options) => archiveOut(files, file, (bytes) => showRaw("stdout", bytes), options),
  };
}

function unpackedIn({ lease, file }: Place): Copy {
  if (process.stdin.isTTY) throw new UserError(`an archive is nothing to type: tar -c FOLDER | xeno cp - ${lease}:${file}`);
  return { lease, what: STREAM, byAgent: noAgent, byShell: (files, options) => archiveIn(files, process.stdin, file, options) };
}

async function wantedOf(from: string, to: string): Promise<Copy> {
  const [source, target] = [placeIn(from), placeIn(to)];
  if (source && target) throw new UserError("one of the two is a path here: copy out of the one machine first, then into the other");
  if (source) return to === STREAM ? archiveOf(source) : outOf(source, to);
  if (target) return from === STREAM ? unpackedIn(target) : into(from, target);
  throw new UserError("one of the two must be LEASE:/path");
}

async function withShell(held: Held, { what, byShell }: Copy, owners: boolean): Promise<string[]> {
  const files = await GuestFiles.open(held.session.machine);
  const line = new ProgressLine(what);
  // a signal that ends this side leaves what came, for the next time
  const options: CopyOptions = { owners, lease: held.session.lease, onProgress: ({ bytes, bytesInAll }) => line.show(bytes, bytesInAll) };
  try {
    // who is refused has used up nothing of what is piped in
    await files.look("/");
    return await byShell(files, options);
  } finally {
    line.end();
    files.close();
  }
}

export async function copy({ from, to, archive }: CopyInput): Promise<void> {
  const wanted = await wantedOf(from, to);
  const held = await hold(wanted.lease, null);
  try {
    const leftOut = await whenFree(held, () => withShell(held, wanted, archive)).catch(async (error: unknown) => {
      if (!isWithoutShell(error)) throw error;
      await wanted.byAgent(held);
      return [];
    });
    for (const each of leftOut) say(`left out  ${each}`);
    if (leftOut.length > 0) process.exitCode = 1;
  } finally {
    held.close();
  }
}
