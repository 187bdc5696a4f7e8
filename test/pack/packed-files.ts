/** The files that would be published, by the names of their packages. */
import { readdirSync } from "node:fs";
import path from "node:path";

export interface Packed {
  folder: string;
  /** The npm package's file. */
  file(name: string): string;
}

export function packedIn(folder: string): Packed {
  const files = readdirSync(folder);
  return {
    folder,
    file(name) {
      const start = `${name.replace("@", "").replace("/", "-")}-`;
      const file = files.find((each) => each.startsWith(start) && /^\d/.test(each.slice(start.length)));
      if (file === undefined) throw new Error(`${name} was not packed: ${files.join(", ")}`);
      return path.join(folder, file);
    },
  };
}
