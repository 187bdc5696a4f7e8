/** A terminal in the page: what is drawn in it, and what is typed, are for whoever shows one. Who controls what is drawn: the guest. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Problem } from "../problem.tsx";
import { typedOn } from "./typed.ts";
import type { Drawn } from "./xterm.ts";

/** What a terminal is to whoever fills it. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Resolves when it was taken in. */
  write(bytes: Uint8Array): Promise<void>;
  reset(): void;
  /** What is typed once somebody is there, and from then on what the terminal answers to a guest that asks. */
  onTyped(listener: (bytes: Uint8Array) => void): void;
  onResized(listener: (size: { columns: number; rows: number }) => void): void;
}

function screenOf({ terminal }: Drawn): Screen {
  return {
    columns: terminal.cols,
    rows: terminal.rows,
    write: (bytes) => new Promise((taken) => terminal.write(bytes, taken)),
    reset: () => terminal.reset(),
    onTyped: (listener) => typedOn(terminal, listener),
    onResized: (listener) => void terminal.onResize(({ cols, rows }) => listener({ columns: cols, rows })),
  };
}

interface TerminalViewProps {
  label: string;
  isTyped: boolean;
  /** What is typed goes there at once. */
  isFocused?: boolean;
  /** Fills it, and gives what lets go of it: the same function for as long as it is the same terminal (useCallback). */
  fill(screen: Screen): () => void;
}

export function TerminalView({ label, isTyped, isFocused = false, fill }: TerminalViewProps): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const next = useRef<HTMLParagraphElement>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let letGo = (): void => {};
    let isGone = false;
    const begin = async (): Promise<void> => {
      const { drawnIn } = await import("./xterm.ts");
      if (isGone || place.current === null) return;
      const drawn = drawnIn(place.current, { isTyped, leave: () => next.current?.focus() });
      const undo = fill(screenOf(drawn));
      letGo = () => {
        undo();
        drawn.close();
      };
      if (isFocused) drawn.terminal.focus();
    };
    begin().catch(setError);
    return () => {
      isGone = true;
      letGo();
    };
  }, [fill, isTyped, isFocused]);
  return (
    <>
      <div className="tty" role="region" aria-label={label} ref={place} />
      <p className="quiet" tabIndex={-1} ref={next}>
        {isTyped && (
          <>
            Click into it to type; <kbd>Ctrl</kbd>+<kbd>]</kbd> leaves it.
          </>
        )}
      </p>
      <Problem error={error} what="The terminal cannot be shown" isRead />
    </>
  );
}
