/** A terminal as xterm.js has it, loaded where one is shown first. Who controls the inputs: the guest (every byte that is drawn). */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import css from "@xterm/xterm/css/xterm.css";
import { adopted, sheeted } from "./sheeted.ts";

const ROWS = 24;
const SCROLLBACK = 5_000;
const FONT = 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace';
/** Dark in both: what programs choose their colours for. */
const THEME = { background: "#0d0f12", foreground: "#e8e6e1", cursor: "#7ab8ff", selectionBackground: "#33465c" };

export interface Drawn {
  terminal: Terminal;
  /** As wide as its place. */
  fit(): void;
  close(): void;
}

let isStyled = false;

/** `leave`: whoever types wants to go on elsewhere in the page. */
export function drawnIn(place: HTMLElement, { isTyped, leave }: { isTyped: boolean; leave(): void }): Drawn {
  if (!isStyled) adopted(document, css);
  isStyled = true;
  const terminal = new Terminal({
    ...{ rows: ROWS, scrollback: SCROLLBACK, fontFamily: FONT, fontSize: 13, theme: THEME, cursorBlink: false },
    ...{ disableStdin: !isTyped, screenReaderMode: true },
    // a link that a guest prints leads nowhere
    linkHandler: { activate: () => {} },
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  terminal.attachCustomKeyEventHandler((event) => {
    if (!isTyped) return false;
    if (!(event.ctrlKey && event.key === "]")) return true;
    if (event.type === "keydown") leave();
    return false;
  });
  sheeted(document, () => terminal.open(place));
  const fit = (): void => {
    const columns = fitting.proposeDimensions()?.cols;
    if (columns !== undefined && Number.isFinite(columns)) terminal.resize(Math.max(columns, 20), ROWS);
  };
  fit();
  const watcher = new ResizeObserver(fit);
  watcher.observe(place);
  return {
    terminal,
    fit,
    close() {
      watcher.disconnect();
      terminal.dispose();
    },
  };
}
