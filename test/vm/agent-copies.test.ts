/** Files into a real guest that has an agent and a shell, but no Perl: whole or not at all, and faster than by the agent alone. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { GuestAgent } from "../../packages/guests/src/qemu/machine/agent.ts";
import { connectSocket } from "../../packages/guests/src/qemu/machine/qmp.ts";
import { agentCopyIn, agentCopyOut } from "../../packages/sdk/src/guest/agent-copy.ts";
import { until } from "../process/market.ts";
import { startBareGuest, type BareGuest } from "./bare-guest.ts";
import { machines } from "./support.ts";
import { ranBy } from "./systemd-host.ts";

const MIB = 1024 * 1024;

machines("a guest with an agent and no Perl", () => {
  let folder: string;
  let guest: BareGuest;
  let agent: GuestAgent;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-agent-copies-"));
    guest = await startBareGuest(folder);
    ({ agent } = guest);
  });
  afterAll(async () => {
    await guest.close();
    await rm(folder, { recursive: true, force: true });
  });

  const asked: string[] = [];
  const session = {
    machine: {
      ask(_: string, request: { command: string; arguments: Record<string, unknown> }) {
        asked.push(request.command);
        return guest.ask(request.command, request.arguments);
      },
    },
  } as unknown as Parameters<typeof agentCopyIn>[0];
  async function file(bytes: number, mode = 0o640): Promise<{ from: string; data: Buffer }> {
    const [from, data] = [path.join(folder, "from"), randomBytes(bytes)];
    await rm(from, { force: true });
    await writeFile(from, data, { mode });
    return { from, data };
  }
  async function back(name: string): Promise<Buffer> {
    await agentCopyOut(session, name, path.join(folder, "back"));
    return readFile(path.join(folder, "back"));
  }

  it("has every byte, its mode, and no port that is held, again and again and over what was there", async () => {
    for (const bytes of [2 * MIB, 512 * 1024, 3 * MIB + 1]) {
      asked.length = 0;
      const { from, data } = await file(bytes);
      await agentCopyIn(session, from, "/tmp/a b'\"$(c)\nü");
      expect(asked).not.toContain("guest-file-write");
      expect((await back("/tmp/a b'\"$(c)\nü")).equals(data)).toBe(true);
    }
    expect(await ranBy(agent, "stat -c %a /tmp/a*; ls -a /tmp | grep -c part")).toMatchObject({ stdout: "640\n0\n" });
  });

  it("has nothing of a file that its disk has no room for, and what was there as it was", async () => {
    await ranBy(agent, "echo old >/small/x");
    const { from } = await file(2 * MIB);
    await expect(agentCopyIn(session, from, "/small/x")).rejects.toThrow(/head/);
    expect(await ranBy(agent, "cat /small/x; ls -A /small")).toMatchObject({ stdout: "old\nx\n" });
  });

  it("takes what a shell does not by the agent alone: little, and into what a link leads to", async () => {
    await ranBy(agent, "ln -s /tmp/real /tmp/link; : >/tmp/real");
    for (const bytes of [0, 1, 600_000]) {
      asked.length = 0;
      const { from, data } = await file(bytes);
      await agentCopyIn(session, from, "/tmp/link");
      expect(asked).toContain("guest-file-open");
      expect((await back("/tmp/real")).equals(data)).toBe(true);
    }
    const { from } = await file(MIB);
    await expect(agentCopyIn(session, from, "/nowhere/x")).rejects.toThrow("No such file or directory");
    await expect(agentCopyIn(session, from, "/tmp")).rejects.toThrow("Is a directory");
  });

  it("copies where its shell finds no port, by the agent alone", async () => {
    await ranBy(agent, "umount -l /sys");
    asked.length = 0;
    const { from, data } = await file(MIB);
    await agentCopyIn(session, from, "/tmp/plain");
    await ranBy(agent, "mount -t sysfs sys /sys");
    expect(asked).toContain("guest-file-write");
    expect((await back("/tmp/plain")).equals(data)).toBe(true);
  });

  it("leaves nothing where whoever copied went half-way, and copies again", async () => {
    const copy = await session.machine.ask("agent", {
      ...{ command: "guest-copy-open", arguments: { path: "/tmp/half", bytes: 1_000_000, mode: "644" } },
    });
    await session.machine.ask("agent", {
      command: "guest-copy-write",
      arguments: { copy, "buf-b64": randomBytes(400_000).toString("base64") },
    });
    guest.copies.close();
    await until(async () => (await ranBy(agent, "ls -A /tmp | grep half")).stdout === "");
    const { from, data } = await file(MIB);
    await agentCopyIn(session, from, "/tmp/half");
    expect((await back("/tmp/half")).equals(data)).toBe(true);
  });

  it("answers again after a request that was cut in the middle of a piece", async () => {
    agent.close();
    const cut = await connectSocket(guest.agentSocket);
    const piece = '{"execute":"guest-file-write","arguments":{"handle":1,"buf-b64":"QUJD';
    await new Promise<void>((resolve) => cut.write(piece, () => resolve()));
    cut.destroy();
    expect(await ranBy(agent, "echo here")).toMatchObject({ stdout: "here\n" });
  });
});
