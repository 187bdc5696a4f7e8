/** Runs a job again and again: soon while there is work, else after a pause; never twice at once. */
export interface Loop {
  wake(): void;
  stop(): Promise<void>;
}

export function startLoop(pauseMs: number, job: () => Promise<number>, failed: (error: unknown) => void): Loop {
  let stopped = false;
  let wakeUp: () => void = () => {};
  let woken = false;
  const running = (async () => {
    while (!stopped) {
      woken = false;
      let done = 0;
      try {
        done = await job();
      } catch (error) {
        failed(error);
      }
      if (done > 0 || woken || stopped) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  })();
  return {
    wake() {
      woken = true;
      wakeUp();
    },
    async stop() {
      stopped = true;
      wakeUp();
      await running;
    },
  };
}
