/** Programs of this package that run in a process of their own: TypeScript in the repository, JavaScript where it was compiled. */
import path from "node:path";

/** `name`: without its extension. */
export const ownProgram = (folder: string, name: string): string => path.join(folder, `${name}${path.extname(import.meta.filename)}`);
