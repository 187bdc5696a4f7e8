/** A session with a guest's shell that is long: what was asked for and answered leaves nothing behind. */
import type { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { frame } from "@xenoservers/protocol/channel";
import type { MachineLink } from "../session/machine-link.ts";
import { GuestFiles } from "./files.ts";
import { GuestProgram } from "./program.ts";

describe("however long a session is", () => {
  const listeners = ({ stdout }: GuestProgram): number => stdout.eventNames().reduce((all, name) => all + stdout.listenerCount(name), 0);
  const answered = (...words: string[]): Uint8Array => {
    const answer = Buffer.from(words.join("\0"));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(answer.length);
    return frame("o", Buffer.concat([length, answer]));
  };

  it("what waits for its output leaves nothing behind, and each question has its own answer", async () => {
    let wire!: Duplex;
    const link = { shell: async (given: Duplex) => void (wire = given.resume()) } as unknown as MachineLink;
    const put = (bytes: Uint8Array): Promise<void> => new Promise((resolve) => wire.write(bytes, () => resolve()));
    const program = await GuestProgram.start(link, { args: ["x"] });
    program.stdout.on("data", () => {}).pause();
    const before = listeners(program);
    for (let i = 0; i < 20; i++) {
      const taken = put(frame("o", new Uint8Array(64 * 1024)));
      await new Promise((resolve) => setImmediate(resolve));
      program.stdout.resume();
      await taken;
      program.stdout.pause();
    }
    expect(listeners(program)).toBe(before);
    // one that is thrown away while nobody reads it keeps nobody waiting
    const last = put(frame("o", new Uint8Array(128 * 1024).subarray(0, 64 * 1024)));
    program.stdout.destroy();
    await last;

    const files = await GuestFiles.open(link);
    for (let i = 0; i < 20; i++) {
      const looked = files.look("/x");
      await put(answered("none"));
      expect(await looked).toBe(null);
    }
    files.close();
  });

  it("a file whose copy is cut off is let go of", async () => {
    const link = { shell: async (wire: Duplex) => void wire.resume().write(frame("o", Buffer.from("\0\0\0\x01x"))) };
    const files = await GuestFiles.open(link as unknown as MachineLink);
    const said: string[] = [];
    const got = files.get("/x", 0, {
      take: async (bytes) => (said.push(Buffer.from(bytes).toString()), files.close()),
      whole: async () => void said.push("whole"),
      end: async () => void said.push("end"),
    });
    await expect(got).rejects.toThrow("link went down");
    expect(said).toEqual(["x", "end"]);
  });
});
