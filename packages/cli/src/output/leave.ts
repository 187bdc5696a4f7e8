/** The end of the program: not before whoever reads its output has all of it. */
const written = (stream: NodeJS.WriteStream): Promise<void> => new Promise((resolve) => void stream.write("", () => resolve()));

/** Ends with `process.exitCode`, whatever a library keeps open. */
export async function leave(): Promise<void> {
  await Promise.all([written(process.stdout), written(process.stderr)]);
  process.exit();
}
