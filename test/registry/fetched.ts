/** An image fetched through the proxy, on a clock that stands still: waits are over at once, silence lasts as long as it must. */
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "vitest";
import type { Timers } from "@xenoservers/protocol/link";
import { OciError, openImage } from "@xenoservers/sdk";
import { PACE_MS, SILENCE_MS_MAX } from "../../packages/sdk/src/oci/answer.ts";
import { LAYER_BYTES, startProxy, type Upstream } from "./proxy.ts";
import { SECRET, type TrickRow } from "./trick.ts";

export function patientTimers(): { timers: Timers; waits: number[]; silence(): void; slowness(): void } {
  const waits: number[] = [];
  const silent = new Set<() => void>();
  const watched = new Set<() => void>();
  let isSlow = false;
  // minutes pass until whoever watches has had enough: it begins when an answer's head is here, and writes what came meanwhile
  const passMinutes = (): void =>
    void setImmediate(() => {
      if (!isSlow || watched.size === 0) return;
      const due = [...watched];
      watched.clear();
      due.forEach((action) => action());
    });
  const timers: Timers = {
    now: () => Date.now(),
    random: () => 0.5,
    after(ms, action) {
      if (ms === SILENCE_MS_MAX) {
        silent.add(action);
        return () => silent.delete(action);
      }
      if (ms === PACE_MS) {
        watched.add(action);
        passMinutes();
        return () => {
          watched.delete(action);
          isSlow = false;
        };
      }
      waits.push(ms);
      const soon = setImmediate(action);
      return () => clearImmediate(soon);
    },
  };
  return {
    timers,
    waits,
    silence: () => void setImmediate(() => [...silent].forEach((action) => action())),
    slowness() {
      isSlow = true;
      passMinutes();
    },
  };
}

/** What a row of the table says must come of its trick. */
export async function checkTrick(row: TrickRow, upstream: Upstream, layers: readonly string[]): Promise<void> {
  const cache = await mkdtemp(path.join(tmpdir(), "xeno-tricks-"));
  const { timers, waits, silence, slowness } = patientTimers();
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
  proxy.onDrip = slowness;
  const before = process.env["REGISTRY_AUTH_FILE"];
  const logins = path.join(cache, "logins.json");
  await writeFile(logins, JSON.stringify({ auths: row.login ? { [proxy.host]: row.login } : {} }));
  process.env["REGISTRY_AUTH_FILE"] = logins;
  const watch = {
    onWait: () => void (stalledAt = null),
    onNext() {},
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
      expect(String(came)).not.toContain(SECRET);
      expect(await readdir(cache).then((names) => names.filter((name) => name.endsWith(".part")))).toEqual([]);
    } else {
      expect(came).not.toBeInstanceOf(Error);
      for (const digest of layers) expect((await readFile(path.join(cache, digest.slice("sha256:".length)))).length).toBe(LAYER_BYTES);
    }
    row.also?.({ waits, proxy, layers });
  } finally {
    if (before === undefined) delete process.env["REGISTRY_AUTH_FILE"];
    else process.env["REGISTRY_AUTH_FILE"] = before;
    await proxy.close();
    await rm(cache, { recursive: true, force: true });
  }
}
