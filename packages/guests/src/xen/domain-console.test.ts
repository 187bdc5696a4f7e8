/** A console beside a pseudo-terminal of this machine: all of it is kept, whoever else ends, and no more than was ordered. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { boundOf, keepConsole, leaveConsole, printedBytes, typeOn, CONSOLE_LOG } from "./domain-console.ts";
import { openTerminal, type Terminal } from "./terminal.fixture.ts";

describe("a domain's console", () => {
  let folder: string;
  let terminal: Terminal;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-console-"));
    terminal = await openTerminal();
  });
  afterEach(async () => {
    await leaveConsole(folder);
    terminal.close();
    await rm(folder, { recursive: true });
  });
  const daemon = { name: "perl", settledSeconds: 0 };
  const keep = () => keepConsole(folder, { tty: terminal.tty, daemon }, 1);
  const log = (): Promise<string> => readFile(path.join(folder, CONSOLE_LOG), "latin1");
  const isLogged = (text: string): Promise<void> => until(async () => (await log().catch(() => "")) === text);

  it("is kept line by line, however many there are, and goes on with another keeper", async () => {
    await keep();
    let all = "";
    for (let i = 0; i < 40; i++) {
      terminal.print(`line ${i}\n`);
      await isLogged((all += `line ${i}\n`));
    }
    await keep(); // there is one
    await leaveConsole(folder); // and the next is not taken for it
    terminal.print("while nobody listens\n");
    await keep();
    await isLogged(`${all}while nobody listens\n`);
  });

  it("is kept by one alone, also where a daemon was killed before it had written down by whom", async () => {
    await keep();
    const record = path.join(folder, "console.json");
    const { id } = JSON.parse(await readFile(record, "utf8")) as { id: { pid: number } };
    await rm(record);
    await keep();
    expect(() => process.kill(id.pid, 0)).toThrow("ESRCH");
    terminal.print("to the one that is left\n");
    await isLogged("to the one that is left\n");
  });

  it("is kept no further than was ordered, by the kernel", async () => {
    await keep();
    terminal.print("x".repeat(2 * 1024 * 1024));
    await until(async () => (await printedBytes(folder)) === boundOf(1));
    await keep();
    expect(await printedBytes(folder)).toBe(1024 * 1024 + 1);
  });

  it("is not another program's terminal, nor that of a xenconsoled that has only just begun", async () => {
    for (const other of [
      { name: "xenconsoled", settledSeconds: 0 },
      { ...daemon, settledSeconds: 1_000_000_000 },
    ]) {
      expect(await keepConsole(folder, { tty: terminal.tty, daemon: other }, 1)).toBe(false);
      await expect(typeOn({ tty: terminal.tty, daemon: other }, Buffer.from("secret\r"))).rejects.toThrow("no console now");
    }
    terminal.print("another's words\n");
    expect(terminal.typed).toBe("");
    await expect(log()).rejects.toThrow("ENOENT");
    await keep();
    await isLogged("another's words\n"); // nobody had read them before
  });

  it("is typed on", async () => {
    await typeOn({ tty: terminal.tty, daemon }, Buffer.from("ls\r"));
    await until(() => terminal.typed === "ls\r");
  });

  it("that nobody reads is said to be one", async () => {
    terminal.stop(true);
    await expect(typeOn({ tty: terminal.tty, daemon }, Buffer.alloc(64 * 1024, "x"))).rejects.toThrow("does not read its console");
    terminal.stop(false);
  });
});
