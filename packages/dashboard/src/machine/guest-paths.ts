/** Paths in a guest. Who controls the inputs: whoever types; the guest (names). */
import { InputError } from "@xenoservers/sdk";

/** As it is typed, with its dots and doubled slashes resolved as far as that takes no look at links. Throws InputError. */
export function guestPath(text: string): string {
  if (!text.startsWith("/")) throw new InputError("a path in the machine begins with /");
  const parts: string[] = [];
  for (const part of text.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

export const within = (folder: string, name: string): string => (folder === "/" ? `/${name}` : `${folder}/${name}`);
