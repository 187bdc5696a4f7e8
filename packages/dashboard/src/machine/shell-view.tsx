/** A shell in the machine, in a terminal of its own: it lives as long as it is shown. Who controls what is shown: the guest. */
import { useCallback, useState, type ReactNode } from "react";
import { said } from "../words.ts";
import type { Hands } from "./hands.ts";
import { NotHad } from "./not-had.tsx";
import { TerminalView, type Screen } from "./terminal-view.tsx";
import { typing } from "./typed.ts";

interface Ways {
  begun(): void;
  ended(words: string): void;
  signal: AbortSignal;
}

const endText = ({ exitCode, why }: { exitCode: number; why: string | null }): string =>
  why === null ? `The shell has ended with exit code ${exitCode}.` : `No shell could be started: ${said(why)}.`;

async function shellIn(hands: Hands, screen: Screen, { begun, ended, signal }: Ways): Promise<void> {
  const machine = await hands.machine();
  const { columns, rows } = screen;
  const program = await machine.start([], { terminal: { columns, rows }, env: { TERM: "xterm-256color" }, signal });
  begun();
  const writer = program.stdin.getWriter();
  // once it has ended nobody reads what is typed
  const typed = typing(
    (bytes) => writer.write(bytes),
    () => {},
  );
  screen.onTyped(typed);
  writer.closed.catch(() => {});
  screen.onResized((size) => program.resize(size));
  const reader = program.stdout.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) await screen.write(read.value);
  ended(endText(await program.ended));
}

export function ShellView({ hands }: { hands: Hands }): ReactNode {
  const [isOpen, setIsOpen] = useState(false);
  const [end, setEnd] = useState("");
  const [hasBegun, setHasBegun] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const fill = useCallback(
    (screen: Screen) => {
      const leaving = new AbortController();
      const { signal } = leaving;
      const failed = (why: unknown): void => {
        if (signal.aborted) return;
        setError(why);
        setIsOpen(false);
      };
      void shellIn(hands, screen, { begun: () => setHasBegun(true), ended: (words) => signal.aborted || setEnd(words), signal }).catch(
        failed,
      );
      return () => leaving.abort();
    },
    [hands],
  );
  const open = (): void => {
    setError(null);
    setEnd("");
    setHasBegun(false);
    setIsOpen(true);
  };
  const close = (): void => {
    setIsOpen(false);
    setEnd("");
  };
  return (
    <section aria-labelledby="shell">
      <h3 id="shell">Shell</h3>
      <NotHad error={error} what={hasBegun ? "The shell was broken off" : "No shell could be opened"} />
      {isOpen && <TerminalView label="Terminal of the shell" isTyped isFocused fill={fill} />}
      {end !== "" && <p role="status">{end}</p>}
      <p>
        <button type="button" onClick={isOpen ? close : open}>
          {isOpen ? "Close the shell" : "Open a shell"}
        </button>
      </p>
    </section>
  );
}
