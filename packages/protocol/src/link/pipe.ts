/** A two-way message pipe: a WebSocket in production, a seeded network in the simulation. Text carries control, bytes carry channels. */
export interface Pipe {
  /** Bytes are the pipe's from then on. */
  send(message: string | Uint8Array): void;
  close(): void;
  /** Ends it where the other end hears nothing any more: nobody waits for its answer. */
  drop?(): void;
  /** Bytes are the handler's until it returns. */
  onMessage(handler: (message: string | Uint8Array) => void): void;
  /** Called once, also when this side closed it; with the other end's words where it gave some. */
  onClose(handler: (why?: string) => void): void;
}

/** Time for programs that must also run on a simulated clock. */
export interface Timers {
  /** Wall or simulated time in ms. */
  now(): number;
  /** Runs `action` once after `ms`; returns how to call it off. */
  after(ms: number, action: () => void): () => void;
  /** Uniform in [0, 1): for jitter only. */
  random(): number;
}

export const systemTimers: Timers = {
  now: () => Date.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
