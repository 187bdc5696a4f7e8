/** A machine's screen, with keyboard and mouse, for as long as it is looked at. Who controls what is shown: the guest and its server. */
import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";
import type { Hands } from "./hands.ts";
import { NotHad } from "./not-had.tsx";
import { keysymOf } from "./keysyms.ts";
import { WatchedScreen, keyMessage, pointerMessage, type Canvas } from "./rfb.ts";

/** What is said to a screen that is looked at. */
type Say = (bytes: number[]) => void;

const ATTENTION = ["Control", "Alt", "Delete"] as const;

function canvasOf(place: HTMLCanvasElement): Canvas {
  const context = place.getContext("2d");
  return {
    sized: (width, height) => void ([place.width, place.height] = [width, height]),
    painted: (x, y, width, rgba) => context?.putImageData(new ImageData(rgba, width), x, y),
  };
}

async function watched(hands: Hands, place: HTMLCanvasElement, signal: AbortSignal, said: (say: Say) => void): Promise<void> {
  const machine = await hands.machine();
  const { readable, writable } = await machine.screen({ signal });
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  const say = (bytes: Uint8Array): Promise<void> => writer.write(bytes);
  said((bytes) => void say(Uint8Array.from(bytes)).catch(() => {}));
  await new WatchedScreen(readable, say, canvasOf(place)).watch();
}

/** Left, middle, right: browsers count the last two the other way round. */
const buttonsOf = (buttons: number): number => (buttons & 1) | ((buttons & 4) >> 1) | ((buttons & 2) << 1);

/** Where on the screen, of which the page may show a smaller picture. */
function placeOf({ clientX, clientY, currentTarget }: PointerEvent<HTMLCanvasElement>): [x: number, y: number] {
  const { left, top, width, height } = currentTarget.getBoundingClientRect();
  const within = (at: number, shown: number, whole: number): number => Math.max(0, Math.min(whole - 1, Math.round((at / shown) * whole)));
  return [within(clientX - left, width, currentTarget.width), within(clientY - top, height, currentTarget.height)];
}

function Shown({ hands, failed }: { hands: Hands; failed(error: unknown): void }): ReactNode {
  const place = useRef<HTMLCanvasElement>(null);
  const next = useRef<HTMLParagraphElement>(null);
  const say = useRef<Say>(() => {});
  /** Pressed, and not let go of. */
  const down = useRef(new Map<string, number>());
  useEffect(() => {
    const leaving = new AbortController();
    if (place.current)
      watched(hands, place.current, leaving.signal, (given) => (say.current = given)).catch(
        (error: unknown) => leaving.signal.aborted || failed(error),
      );
    return () => leaving.abort();
  }, [hands, failed]);
  const letGo = (): void => {
    for (const keysym of down.current.values()) say.current(keyMessage(keysym, false));
    down.current.clear();
  };
  /** No page is told of these keys: the system takes them. */
  const attention = (): void => {
    for (const isDown of [true, false])
      for (const key of isDown ? ATTENTION : ATTENTION.toReversed()) say.current(keyMessage(keysymOf(key) ?? 0, isDown));
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey && event.key === "]") return next.current?.focus();
    const keysym = keysymOf(event.key);
    if (keysym === null) return;
    event.preventDefault();
    down.current.set(event.code, keysym);
    say.current(keyMessage(keysym, true));
  };
  const released = ({ code, key }: KeyboardEvent): void => {
    // macOS tells of no other key that is let go of while this one is held
    if (key === "Meta") return letGo();
    // with another key held it may be called otherwise by now
    const keysym = down.current.get(code);
    down.current.delete(code);
    if (keysym !== undefined) say.current(keyMessage(keysym, false));
  };
  const moved = (event: PointerEvent<HTMLCanvasElement>): void => say.current(pointerMessage(buttonsOf(event.buttons), ...placeOf(event)));
  return (
    <>
      <canvas
        ref={place}
        className="monitor"
        aria-label="Screen of the machine"
        role="application"
        tabIndex={0}
        onKeyDown={pressed}
        onKeyUp={released}
        onBlur={letGo}
        onPointerDown={(event) => {
          // it may be let go of outside
          event.currentTarget.setPointerCapture(event.pointerId);
          moved(event);
        }}
        onPointerUp={moved}
        onPointerCancel={moved}
        onPointerMove={moved}
        onContextMenu={(event) => event.preventDefault()}
      />
      <p className="quiet" tabIndex={-1} ref={next}>
        Click into it to use it; <kbd>Ctrl</kbd>+<kbd>]</kbd> leaves it.{" "}
        <button type="button" className="small" onClick={attention}>
          Send Ctrl+Alt+Del
        </button>
      </p>
    </>
  );
}

export function ScreenView({ hands }: { hands: Hands }): ReactNode {
  const [isOpen, setIsOpen] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [failed] = useState(() => (why: unknown): void => {
    setError(why);
    setIsOpen(false);
  });
  const open = (): void => {
    setError(null);
    setIsOpen(true);
  };
  return (
    <section aria-labelledby="screen">
      <h3 id="screen">Screen</h3>
      <NotHad error={error} what="There is no screen to see" />
      {isOpen && <Shown hands={hands} failed={failed} />}
      <p>
        <button type="button" onClick={isOpen ? () => setIsOpen(false) : open}>
          {isOpen ? "Close the screen" : "Show the screen"}
        </button>
      </p>
    </section>
  );
}
