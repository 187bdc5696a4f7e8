/** An image fetched through the proxy, on a clock that stands still: waits are over at once, silence lasts as long as it must. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "vitest";
import type { Timers } from "@xenoservers/protocol/link";
import { OciError, openImage } from "@xenoservers/sdk";
import { SILENCE_MS_MAX } from "../../packages/sdk/src/oci/answer.ts";
import { LAYER_BYTES, startProxy, type Upstream } from "./proxy.ts";
import type { TrickRow } from "./tricks.ts";

function patientTimers(): { timers: Timers; waits: number[]; silence(): void } {
  const waits: number[] = [];
  const silent = new Set<() => void>();
  const timers: Timers = {
    now: () => Date.now(),
    random: () => 0.5,
    after(ms, action) {
      if (ms === SILENCE_MS_MAX) {
        silent.add(action);
        return () => silent.delete(action);
      }
      waits.push(ms);
      const soon = setImmediate(action);
      return () => clearImmediate(soon);
    },
  };
  return { timers, waits, silence: () => void setImmediate(() => [...silent].forEach((action) => action())) };
}

/** What a row of the table says must come of its trick. */
export async function checkTrick(row: TrickRow, upstream: Upstream, layers: readonly string[]): Promise<void> {
  const cache = await mkdtemp(path.join(tmpdir(), "xeno-tricks-"));
  const { timers, waits, silence } = patientTimers();
  const proxy = await startProxy(upstream, row.trick);
  let bytesHere = 0;
  let stalledAt: number | null = null;
  // what was sent may still be on its way
  const fallSilent = (): void => {
    if (stalledAt === bytesHere) silence();
  };
  proxy.onStall = (bytes) => {
    stalledAt = bytes;
    fallSilent();
  };
  const before = { user: process.env["XENO_REGISTRY_USER"], password: process.env["XENO_REGISTRY_PASSWORD"] };
  if (row.login) Object.assign(process.env, { XENO_REGISTRY_USER: row.login.user, XENO_REGISTRY_PASSWORD: row.login.password });
  const watch = {
    onWait: () => void (stalledAt = null),
    onLayer({ bytes }: { bytes: number }) {
      bytesHere = bytes;
      fallSilent();
    },
  };
  try {
    const came = await openImage(`${proxy.host}/box`, cache, watch, timers).catch((error: unknown) => error);
    if (row.refused) {
      expect(came).toBeInstanceOf(OciError);
      expect(String(came)).toMatch(row.refused);
      if (row.login) expect(String(came)).not.toContain(row.login.password);
      expect(await readdir(cache).then((names) => names.filter((name) => name.endsWith(".part")))).toEqual([]);
    } else {
      expect(came).not.toBeInstanceOf(Error);
      for (const digest of layers) expect((await readFile(path.join(cache, digest.slice("sha256:".length)))).length).toBe(LAYER_BYTES);
    }
    row.also?.({ waits, proxy, layers });
  } finally {
    for (const [name, value] of [
      ["XENO_REGISTRY_USER", before.user],
      ["XENO_REGISTRY_PASSWORD", before.password],
    ] as const)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    await proxy.close();
    await rm(cache, { recursive: true, force: true });
  }
}
