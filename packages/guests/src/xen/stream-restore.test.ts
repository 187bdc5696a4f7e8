/** A domain that is made of a state as that comes, by a program in place of xl that keeps what it is given, or fails. */
import { once } from "node:events";
import { access, chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { until } from "../../../../test/until.ts";
import { openStill } from "./still-save.ts";
import { restoreFrom } from "./stream-restore.ts";
import { thoroughly } from "../../../../test/thorough.ts";

let folder: string;
const at = (name: string): string => path.join(folder, name);

/** What is run in place of xl: it has all of the program's words, and is found by its name. */
async function xlIs(script: string): Promise<void> {
  await writeFile(at("xl"), `#!/bin/sh\n${script}\n`);
  await chmod(at("xl"), 0o700);
}

vi.mock("node:child_process", async (original) => {
  const real = await original<typeof import("node:child_process")>();
  return {
    ...real,
    spawn: (program: string, words: readonly string[], options: { env: Record<string, string> }) =>
      real.spawn(program, words, { ...options, env: { ...options.env, PATH: `${folder}:${options.env["PATH"]}` } } as never),
  };
});

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-restore-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function isGone(pid: number): boolean {
  try {
    return !process.kill(pid, 0);
  } catch {
    return true;
  }
}

const restoring = (state: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> =>
  restoreFrom({ config: at("cfg"), state, log: at("log"), dataMibMax: 64, signal });

describe("a state that comes", () => {
  it("is had by xl before it is whole, from a file that it opens by name", async () => {
    await xlIs(`echo "$@" >${at("words")}; head -c 3 "$5" >${at("first")}; exec cat >${at("rest")}`);
    const state = new PassThrough();
    const made = restoring(state);
    state.write("abc");
    await until(async () => (await readFile(at("first"), "utf8").catch(() => "")) === "abc");
    state.end("defg");
    await made;
    expect(await readFile(at("words"), "utf8")).toBe(`restore -p -e ${at("cfg")} /proc/self/fd/0\n`);
    expect(await readFile(at("rest"), "utf8")).toBe("defg");
  });

  it("makes none where xl says so, at its end or in its middle", async () => {
    await xlIs('echo "Loading new save file /proc/self/fd/0"; echo "libxl: error: no memory" >&2; exit 3');
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield Buffer.alloc(10_000);
    }
    await expect(restoring(endless())).rejects.toThrow("libxl: error: no memory");
    await xlIs("cat >/dev/null; exit 4");
    const whole = new PassThrough();
    whole.end("state");
    await expect(restoring(whole)).rejects.toThrow("it ended with 4");
  });

  thoroughly("ends all that works for it where it is cut, or nobody wants it", async () => {
    await xlIs(`echo $$ >${at("pid.part")}; mv ${at("pid.part")} ${at("pid")}; exec sleep 1000`);
    const begun = async (): Promise<number> => {
      await until(() =>
        access(at("pid")).then(
          () => true,
          () => false,
        ),
      );
      return Number(await readFile(at("pid"), "utf8"));
    };
    const cut = new PassThrough();
    const first = expect(restoring(cut)).rejects.toThrow("cut");
    const one = await begun();
    cut.destroy(new Error("it was cut"));
    await first;
    await until(() => isGone(one));
    await rm(at("pid"));

    const whole = new PassThrough();
    whole.end("state");
    const unwanted = new AbortController();
    const second = expect(restoring(whole, unwanted.signal)).rejects.toThrow("SIGKILL");
    const two = await begun();
    unwanted.abort();
    await second;
    await until(() => isGone(two));
  });
});

describe("a state that is saved into a pipe", () => {
  const read = async (stream: AsyncIterable<Uint8Array>): Promise<string> => {
    const all: Uint8Array[] = [];
    for await (const bytes of stream) all.push(bytes);
    return Buffer.concat(all).toString();
  };

  it("is written by xl to a file that it opens by name, and what it says stands in its log", async () => {
    await xlIs(`echo "Saving to $4"; printf "state of $3" >"$4"; echo "libxl: error: but" >&2; echo $PPID >${at("pid")}`);
    const sent = await openStill(7, "xeno-0123", at("log"));
    // it may have ended before anybody reads
    await until(async () => isGone(Number(await readFile(at("pid"), "utf8").catch(() => process.pid))));
    expect(await read(sent.stream)).toBe("state of 7");
    expect(await sent.end()).toBe("libxl: error: but");
  });

  it("tells xl where nobody reads on, which ends by itself", async () => {
    await xlIs(`printf s >"$4"; until ! printf s >"$4"; do :; done 2>/dev/null; echo undone >${at("undone")}`);
    const sent = await openStill(7, "xeno-0123", at("log"));
    await once(sent.stream as PassThrough, "data");
    await sent.end();
    expect(await readFile(at("undone"), "utf8")).toBe("undone\n");
  });
});
