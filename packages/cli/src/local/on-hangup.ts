/** A terminal that goes away ends its programs; a daemon without one is told by the same signal to read its settings again. */
export function onHangup(heard: () => void): () => void {
  if (process.stdin.isTTY) return () => {};
  process.on("SIGHUP", heard);
  return () => void process.off("SIGHUP", heard);
}

/** What came of it, in words. */
export const rereadWords = ({ changed, later }: { changed: readonly string[]; later: readonly string[] }): string[] => [
  changed.length > 0 ? `changed: ${changed.join(", ")}` : "nothing that can change while it runs is different",
  ...(later.length > 0 ? [`from the next start on: ${later.join(", ")}`] : []),
];
