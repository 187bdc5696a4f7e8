/** For tests of verbs: words as if a person had typed them, and what is said to that. */
import { program } from "./program.ts";
import { reportError } from "./output/report.ts";

const STREAMS = ["stdout", "stderr"] as const;

export class Typed {
  said = { stdout: "", stderr: "" };
  #restore: (() => void)[] = [];

  /** From here on what is written is kept here. */
  listen(): void {
    this.#restore = STREAMS.map((stream) => {
      const { write } = process[stream];
      process[stream].write = (text: Uint8Array | string, ...taken: unknown[]): boolean => {
        this.said[stream] += String(text);
        for (const each of taken) if (typeof each === "function") each();
        return true;
      };
      return () => void (process[stream].write = write);
    });
  }

  leave(): void {
    for (const restore of this.#restore.splice(0)) restore();
  }

  /** What is said is in `said`, the exit code comes back. */
  async xeno(...argv: string[]): Promise<number> {
    this.said = { stdout: "", stderr: "" };
    process.exitCode = 0;
    try {
      await (await program(argv)).parseAsync(argv, { from: "user" });
      return Number(process.exitCode);
    } catch (error) {
      return reportError(error, argv.includes("--json"));
    } finally {
      process.exitCode = 0;
    }
  }
}
