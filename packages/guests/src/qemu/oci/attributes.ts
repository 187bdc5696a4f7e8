/** Extended attributes that a disk can hold and a guest's kernel reads (xattr(7)). Who controls the inputs: the customer, every byte. */
import type { TarEntry } from "@xenoservers/protocol/archive";
import { Refusal } from "../refusal.ts";
import { isAccessList, isAccessListValue, isOfOurs, mayHold } from "./access-lists.ts";

const NAME_MAX = 255;
/** Of a file's together, in the disk's file system. */
const BYTES_MAX = 65_536;
/** Of most entries; one for all. */
const NONE: never[] = [];
const CAPABILITY = "security.capability";
/** What begins a capability (capabilities(7), versions 2 and 3) and how long one is. */
const CAPABILITY_FORMS: readonly (readonly [version: number, bytes: number])[] = [
  [2, 20],
  [3, 24],
];

function isCapability(value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  // the first bit only says whether what is permitted is in effect
  return CAPABILITY_FORMS.some(([version, length]) => bytes.length === length && (bytes.readUInt32LE(0) & ~1) === version << 24);
}

/** Those by which overlays know their own would be taken for ours; labels are of a system's own policy, and engines leave them out. */
const isKnown = (name: string): boolean =>
  /^(user|trusted|security)\../.test(name) && !name.startsWith("trusted.overlay.") && !isOfOurs(name) && name !== "security.selinux";

/** Throws Refusal where no file system has such. */
export function kept(xattrs: TarEntry["xattrs"], kind: TarEntry["kind"]): TarEntry["xattrs"] {
  if (xattrs.length === 0) return NONE;
  // users' own are of files and folders alone
  const mayBeUsers = kind === "file" || kind === "directory";
  const isTaken = (name: string): boolean =>
    isAccessList(name) ? mayHold(kind, name) : isKnown(name) && (mayBeUsers || !name.startsWith("user."));
  const found = xattrs.filter(([name]) => isTaken(name));
  if (found.length === 0) return NONE;
  if (
    found.some(([name]) => name.length > NAME_MAX) ||
    found.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > BYTES_MAX
  )
    throw new Refusal("bytes", "a layer holds extended attributes that are larger than file systems have");
  for (const [name, value] of found)
    if (isAccessList(name) && !isAccessListValue(value))
      throw new Refusal("bytes", `a layer holds an attribute ${name} that is no access list`);
    else if (name === CAPABILITY && !isCapability(value))
      throw new Refusal("bytes", `a layer holds an attribute ${CAPABILITY} that is no capability`);
  return found;
}
